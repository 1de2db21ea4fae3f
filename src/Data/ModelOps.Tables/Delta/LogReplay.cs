using System.Text.Json;

namespace ModelOps.Tables.Delta;

/// <summary>The state of a table after its commits so far, applied in order.</summary>
internal sealed class LogReplay(string table)
{
    // In the order of the log, so that two readers see rows in the same order.
    private readonly OrderedDictionary<string, AddFile> files = new(StringComparer.Ordinal);
    private Protocol? protocol;
    private Metadata? metadata;

    /// <summary>-1: nothing applied yet.</summary>
    public long Version { get; private set; } = -1;

    public void Apply(long version, IReadOnlyList<LogLine> lines)
    {
        foreach (var line in lines)
        {
            protocol = line.Protocol ?? protocol;
            metadata = line.MetaData ?? metadata;
        }
        // Removes first: a commit may rewrite a file under its own path.
        foreach (var line in lines)
            if (line.Remove is { } remove) files.Remove(Decode(remove.Path));
        foreach (var line in lines)
            if (line.Add is { } add) files[Decode(add.Path)] = add;
        Version = version;
    }

    public Snapshot ToSnapshot()
    {
        if (protocol is null) throw new DeltaException($"the log of {table} has no protocol action up to version {Version}");
        if (metadata is null) throw new DeltaException($"the log of {table} has no metaData action up to version {Version}");
        if (metadata.SchemaString is null) throw new DeltaException($"the metaData action of {table} has no schemaString");
        TableFeatures.CheckReadable(table, protocol, metadata);
        if (files.Values.FirstOrDefault(file => file.DeletionVector is { ValueKind: not JsonValueKind.Null }) is { } deleted)
            throw new DeltaException($"{table}: {deleted.Path} has a deletion vector, which this reader does not support");
        if (files.Values.FirstOrDefault(file => LeavesFolder(file.Path)) is { } outside)
            throw new DeltaException($"{table}: {outside.Path} leads out of the table's folder, which is not supported");
        return new(Version, SchemaJson.Parse(table, metadata.SchemaString), protocol, metadata, [.. files.Values]);
    }

    private static bool LeavesFolder(string path) =>
        Uri.TryCreate(path, UriKind.Absolute, out _) || Decode(path).Split('/').Any(segment => segment is "" or "." or "..");

    /// <summary>Writers spell the same path differently; what it names is what counts.</summary>
    private static string Decode(string path) =>
        path.StartsWith("file:/", StringComparison.Ordinal)
            ? $"/{Uri.UnescapeDataString(path[5..]).TrimStart('/')}"
            : Uri.UnescapeDataString(path);
}
