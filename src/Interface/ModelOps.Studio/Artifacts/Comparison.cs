using System.Globalization;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Studio.Shell;

namespace ModelOps.Studio.Artifacts;

/// <summary>Two artifacts side by side.</summary>
internal static class Comparison
{
    public static IEnumerable<(string Title, IEnumerable<ComparedRow> Rows)> Of(Artifact left, Artifact right)
    {
        yield return ("What they are", Facts(left).Zip(Facts(right), (one, other) => new ComparedRow(one.Name, one.Value, other.Value)).Where(row => row.Differs || !string.IsNullOrEmpty(row.Left)));
        yield return ("Metrics", left.Metrics.Keys.Union(right.Metrics.Keys).Select(name => Metric(name, left, right)));
        yield return ("Recipe", Both(Flat(left.Recipe), Flat(right.Recipe)));
        yield return ("Files", Both(Files(left), Files(right)));
    }

    private static (string Name, string? Value)[] Facts(Artifact artifact) =>
    [
        ("kind", artifact.Kind), ("stage", artifact.Stage), ("size", Human.Bytes(artifact.Size)), ("made", $"{Human.Exact(artifact.CreatedAt)} by {artifact.CreatedBy}"),
        ("made from", string.Join(", ", artifact.Parents.Select(parent => $"{parent.Role} {parent.Artifact}"))),
        ("licence", artifact.License), ("source", artifact.Source), ("aliases", string.Join(", ", artifact.Aliases)),
    ];

    private static ComparedRow Metric(string name, Artifact left, Artifact right)
    {
        double? one = left.Metrics.TryGetValue(name, out var a) ? a : null, other = right.Metrics.TryGetValue(name, out var b) ? b : null;
        return new(Human.Words(name), one is null ? null : Human.Metric(a), other is null ? null : Human.Metric(b), one is null || other is null ? null : Change(a, b)) { Differs = one != other };
    }

    private static string Change(double from, double to)
    {
        var change = $"{(to > from ? "+" : "−")}{Human.Metric(Math.Abs(to - from))}";
        return from == 0 ? change : change + ((to - from) / Math.Abs(from)).ToString(" (+0.0 %); (−0.0 %)", CultureInfo.InvariantCulture);
    }

    private static Dictionary<string, string> Files(Artifact artifact) =>
        artifact.Files.ToDictionary(file => file.Path, file => $"{Human.Bytes(file.Size)}, {file.Sha256[..12]}…", StringComparer.Ordinal);

    private static IEnumerable<ComparedRow> Both(IReadOnlyDictionary<string, string> left, IReadOnlyDictionary<string, string> right) =>
        left.Keys.Union(right.Keys).Select(name => new ComparedRow(name, left.GetValueOrDefault(name), right.GetValueOrDefault(name)));

    /// <summary>A recipe by the paths of its values.</summary>
    private static Dictionary<string, string> Flat(JsonElement? recipe)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        if (recipe is { } root) Add("", root);
        return values;

        void Add(string path, JsonElement element)
        {
            if (element.ValueKind == JsonValueKind.Object)
                foreach (var property in element.EnumerateObject()) Add(path.Length == 0 ? property.Name : $"{path}.{property.Name}", property.Value);
            else values[path] = element.ToString();
        }
    }
}

/// <param name="Difference">In numbers; null: they are none.</param>
internal sealed record ComparedRow(string Name, string? Left, string? Right, string? Difference = null)
{
    public bool Differs { get; init; } = (Left ?? "") != (Right ?? "");
}
