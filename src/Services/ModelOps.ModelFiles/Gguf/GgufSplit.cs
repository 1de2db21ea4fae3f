using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>
/// A model in several files, <c>name-00001-of-00003.gguf</c>, as llama.cpp's <c>gguf-split</c> writes it: each is a whole GGUF file with some of the
/// tensors, and the first has the metadata.
/// </summary>
internal static partial class GgufSplit
{
    private const string Count = "split.count";
    private const string Number = "split.no";
    private const string TensorCount = "split.tensors.count";

    /// <returns>The file itself where it is a whole model; else all parts, the first first.</returns>
    /// <param name="path">Of whichever part.</param>
    /// <exception cref="InvalidModelFileException">Names every part that is missing or not of this model.</exception>
    public static IReadOnlyList<GgufPart> Open(string path)
    {
        var parts = new List<GgufPart>();
        try
        {
            parts.Add(GgufPart.Open(path));
            var part = parts[0];
            var count = Value(part, Count) ?? 1;
            if (count <= 1) return parts;
            var paths = PathsOf(part, count);
            if (paths.Where(other => !File.Exists(other)).Select(other => $"the part {Path.GetFileName(other)} is missing").ToList() is { Count: > 0 } missing)
                throw new InvalidModelFileException(part.Path, missing);
            parts.AddRange(paths.Where(other => other != part.Path).Select(GgufPart.Open));
            parts.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
            ThrowUnlessOneModel(part.Path, parts);
            return parts;
        }
        catch
        {
            foreach (var opened in parts) opened.Dispose();
            throw;
        }
    }

    private static List<string> PathsOf(GgufPart part, long count)
    {
        if (PartName().Match(part.Path) is not { Success: true } name || long.Parse(name.Groups["count"].ValueSpan, CultureInfo.InvariantCulture) != count)
            throw new InvalidModelFileException(part.Path, $"it is one of {count} parts and not called NAME-00001-of-{count:D5}.gguf: the others cannot be found");
        return [.. Enumerable.Range(1, (int)count).Select(number => $"{name.Groups["stem"].Value}-{number:D5}-of-{count:D5}.gguf")];
    }

    private static void ThrowUnlessOneModel(string path, List<GgufPart> parts)
    {
        var errors = new List<string>();
        foreach (var (index, part) in parts.Index())
        {
            if (Value(part, Count) != parts.Count || Value(part, Number) != index)
                errors.Add($"{Path.GetFileName(part.Path)} says that it is part {Value(part, Number) + 1} of {Value(part, Count)}");
        }

        var names = parts.SelectMany(part => part.Header.Tensors).Select(tensor => tensor.Name).ToList();
        foreach (var name in names.GroupBy(name => name).Where(group => group.Count() > 1)) errors.Add($"tensor \"{name.Key}\" is in several parts");
        if (Value(parts[0], TensorCount) is { } expected && expected != names.Count) errors.Add($"the parts have {names.Count} tensors, {expected} are expected");
        if (errors.Count > 0) throw new InvalidModelFileException(path, errors);
    }

    private static long? Value(GgufPart part, string key) => part.Header.Metadata.GetValueOrDefault(key) switch
    {
        ushort number => number,
        uint number => number,
        int number => number,
        _ => null,
    };

    [GeneratedRegex(@"^(?<stem>.+)-[0-9]{5}-of-(?<count>[0-9]{5})\.gguf$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant | RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PartName();
}
