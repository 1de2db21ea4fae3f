using System.Text.Json;
using ModelOps.Tables.Datasets;

namespace ModelOps.Server.Files;

/// <summary>The lines of a file of purpose <c>batch</c>: a request each, told apart by its <c>custom_id</c>.</summary>
internal static class BatchLines
{
    private const int MostFaults = 100;
    private const int MostRequests = 50_000;
    private static readonly string[] urls = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"];

    /// <returns>A line each, the first hundred; empty: every line is a request.</returns>
    public static async Task<IReadOnlyList<string>> FaultsAsync(Stream source, string fileName, CancellationToken cancellationToken)
    {
        var (faults, bad, lines) = (new List<string>(), 0L, 0L);
        var seen = new Dictionary<string, long>(StringComparer.Ordinal);
        await foreach (var line in JsonLines.ReadAsync(source, cancellationToken))
        {
            if (++lines > MostRequests) return [$"{fileName} has more than {MostRequests} requests; split it"];
            var reasons = line.Value is { } request ? Faults(request, line.Number, seen).ToList() : [line.Fault!];
            if (reasons.Count > 0 && ++bad <= MostFaults) faults.Add($"line {line.Number}: {string.Join("; ", reasons)}");
        }
        if (lines == 0) return [$"{fileName} is empty: it has no requests"];
        if (bad > faults.Count) faults.Add($"and {bad - faults.Count} more bad lines of {lines}");
        return faults;
    }

    private static IEnumerable<string> Faults(JsonElement request, long line, Dictionary<string, long> seen)
    {
        if (request.ValueKind != JsonValueKind.Object)
        {
            yield return "must be an object with custom_id, method, url and body";
            yield break;
        }
        if (Text(request, "custom_id") is not { Length: > 0 } id) yield return "custom_id must be a text that is not empty";
        else if (!seen.TryAdd(id, line)) yield return $"custom_id '{id}' is that of line {seen[id]}";
        if (Text(request, "method") != HttpMethods.Post) yield return "method must be POST";
        if (!urls.Contains(Text(request, "url"), StringComparer.Ordinal)) yield return $"url must be one of {string.Join(", ", urls)}";
        if (!request.TryGetProperty("body", out var body) || body.ValueKind != JsonValueKind.Object) yield return "body must be an object";
    }

    private static string? Text(JsonElement request, string name) =>
        request.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
