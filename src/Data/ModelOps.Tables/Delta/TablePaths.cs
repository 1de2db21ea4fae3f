using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>What the paths in a table's log name: a key in its store. Writers spell the same file differently.</summary>
/// <param name="root">What the table's folder is called outside of the store, such as s3://bucket/prefix/table; null: not known.</param>
internal sealed class TablePaths(IObjectStore store, string table, Uri? root)
{
    private readonly string[] roots = [.. Roots(store, table, root)];

    public string Table => table;

    /// <summary>The same text for the same file: not URI-encoded, relative to the table's folder wherever it is below it.</summary>
    public string Canonical(string path)
    {
        var decoded = Uri.UnescapeDataString(path);
        if (decoded.StartsWith("file:/", StringComparison.Ordinal)) decoded = $"/{decoded[5..].TrimStart('/')}";
        if (decoded.StartsWith("s3a://", StringComparison.Ordinal)) decoded = $"s3://{decoded[6..]}";
        return Array.Find(roots, start => decoded.StartsWith(start, StringComparison.Ordinal)) is { } above ? decoded[above.Length..] : decoded;
    }

    /// <exception cref="DeltaException">It is not below the table's folder.</exception>
    public string KeyOf(string path)
    {
        var canonical = Canonical(path);
        return IsInside(canonical)
            ? $"{table}/{canonical}"
            : throw new DeltaException($"{table}: {path} leads out of the table's folder, which is not supported");
    }

    public static bool IsInside(string canonical) =>
        !(canonical.IndexOf("://", StringComparison.Ordinal) is var scheme and >= 0 && canonical.IndexOf('/', StringComparison.Ordinal) > scheme)
        && canonical.Split('/').All(segment => segment is not ("" or "." or ".."));

    private static IEnumerable<string> Roots(IObjectStore store, string table, Uri? root)
    {
        if (root is not null) yield return $"{Uri.UnescapeDataString(root.ToString()).TrimEnd('/')}/";
        if (store.LocalPath($"{table}/{CommitFile.LogFolder}") is { } log) yield return log[..^CommitFile.LogFolder.Length];
    }
}
