namespace ModelOps.Tables.Delta;

/// <summary>The state of a table after its commits so far, applied in order (PROTOCOL.md, "Action Reconciliation").</summary>
internal sealed class LogReplay(string table)
{
    // Numbered in the order of the log, so that two readers see rows in the same order.
    private readonly Dictionary<FileKey, (long Number, AddFile Add)> files = [];
    private readonly Dictionary<FileKey, RemoveFile> tombstones = [];
    private readonly Dictionary<string, Transaction> transactions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DomainMetadata> domains = new(StringComparer.Ordinal);
    private static readonly long MaxMilliseconds = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
    private Protocol? protocol;
    private Metadata? metadata;
    private long added;

    /// <summary>-1: nothing applied yet.</summary>
    public long Version { get; private set; } = -1;

    /// <summary>Of the last commit applied.</summary>
    public DateTimeOffset Timestamp { get; private set; }

    /// <param name="timestamp">When the commit was made, where it does not say so itself.</param>
    public void Apply(long version, DateTimeOffset timestamp, IReadOnlyList<LogLine> lines)
    {
        Timestamp = timestamp;
        // Removes first: a commit may rewrite a file under its own path.
        foreach (var line in lines)
            if (line.Remove is { } remove) Remove(remove);
        foreach (var line in lines) Apply(line);
        Version = version;
    }

    public Snapshot ToSnapshot()
    {
        if (protocol is null) throw new DeltaException($"the log of {table} has no protocol action up to version {Version}");
        if (metadata is null) throw new DeltaException($"the log of {table} has no metaData action up to version {Version}");
        if (metadata.SchemaString is null) throw new DeltaException($"the metaData action of {table} has no schemaString");
        TableFeatures.CheckReadable(table, protocol, metadata);
        var adds = files.Values.OrderBy(file => file.Number).Select(file => file.Add).ToList();
        if (adds.Find(file => file.DeletionVector is not null) is { } deleted)
            throw new DeltaException($"{table}: {deleted.Path} has a deletion vector, which this reader does not support");
        if (adds.Find(file => LeavesFolder(file.Path)) is { } outside)
            throw new DeltaException($"{table}: {outside.Path} leads out of the table's folder, which is not supported");
        return new(Version, Timestamp, SchemaJson.Parse(table, metadata.SchemaString), protocol, metadata, adds)
        {
            MappingMode = ColumnMapping.ModeOf(table, protocol, metadata),
            Tombstones = [.. tombstones.Values],
            Transactions = new Dictionary<string, Transaction>(transactions, StringComparer.Ordinal),
            Domains = new Dictionary<string, DomainMetadata>(domains, StringComparer.Ordinal),
        };
    }

    private void Apply(LogLine line)
    {
        protocol = line.Protocol ?? protocol;
        metadata = line.MetaData ?? metadata;
        if (line.Add is { } add)
        {
            var key = FileKey.Of(add.Path, add.DeletionVector);
            tombstones.Remove(key);
            files[key] = (added++, add);
        }
        if (line.Txn is { } transaction) transactions[transaction.AppId] = transaction;
        if (line.DomainMetadata is { Removed: false } domain) domains[domain.Domain] = domain;
        if (line.DomainMetadata is { Removed: true } gone) domains.Remove(gone.Domain);
        if (line.CommitInfo is { } info && CommitInfo.From(info).InCommitTimestamp is { } milliseconds)
            Timestamp = DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Clamp(milliseconds, 0, MaxMilliseconds));
    }

    private void Remove(RemoveFile remove)
    {
        var key = FileKey.Of(remove.Path, remove.DeletionVector);
        files.Remove(key);
        tombstones[key] = remove;
    }

    private static bool LeavesFolder(string path) =>
        Uri.TryCreate(path, UriKind.Absolute, out _) || FileKey.Decode(path).Split('/').Any(segment => segment is "" or "." or "..");
}

/// <summary>What makes two actions speak of the same rows: the file, and which of its rows are deleted.</summary>
internal readonly record struct FileKey(string Path, string? DeletionVectorId)
{
    public static FileKey Of(string path, DeletionVector? vector) => new(Decode(path), vector?.UniqueId);

    /// <summary>Writers spell the same path differently; what it names is what counts.</summary>
    public static string Decode(string path) =>
        path.StartsWith("file:/", StringComparison.Ordinal)
            ? $"/{Uri.UnescapeDataString(path[5..]).TrimStart('/')}"
            : Uri.UnescapeDataString(path);
}
