namespace ModelOps.Tables.Delta;

/// <summary>The state of a table after its commits so far, applied in order (PROTOCOL.md, "Action Reconciliation").</summary>
internal sealed class LogReplay(TablePaths paths)
{
    // Numbered in the order of the log, so that two readers see rows in the same order.
    private readonly Dictionary<FileKey, (long Number, AddFile Add)> files = [];
    private readonly Dictionary<FileKey, RemoveFile> tombstones = [];
    private readonly Dictionary<string, Transaction> transactions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DomainMetadata> domains = new(StringComparer.Ordinal);
    private Protocol? protocol;
    private Metadata? metadata;
    private long added;
    private DateTimeOffset timestamp;

    /// <summary>-1: nothing applied yet.</summary>
    public long Version { get; private set; } = -1;

    public static LogReplay From(Snapshot known, TablePaths paths)
    {
        var replay = new LogReplay(paths) { protocol = known.Protocol, metadata = known.Metadata, timestamp = known.Timestamp, Version = known.Version };
        foreach (var remove in known.Tombstones) replay.Remove(remove);
        foreach (var add in known.Files) replay.Apply(new LogLine { Add = add });
        foreach (var (id, transaction) in known.Transactions) replay.transactions[id] = transaction;
        foreach (var (name, domain) in known.Domains) replay.domains[name] = domain;
        return replay;
    }

    /// <summary>Whether commits say themselves when they were made (PROTOCOL.md, "In-Commit Timestamps").</summary>
    public bool HasInCommitTimestamps => protocol is not null && metadata is not null && TableFeatures.HasInCommitTimestamps(protocol, metadata);

    /// <param name="modified">When its file was written.</param>
    public void Apply(long version, DateTimeOffset modified, IReadOnlyList<LogLine> lines)
    {
        // Removes first: a commit may rewrite a file under its own path.
        foreach (var line in lines)
            if (line.Remove is { } remove) Remove(remove);
        foreach (var line in lines) Apply(line);
        ApplyTime(modified, lines);
        Version = version;
    }

    /// <summary>In a checkpoint no two actions are about the same, so that their order is of no account.</summary>
    public void ApplyCheckpoint(long version, LogLine line)
    {
        if (line.Remove is { } remove) Remove(remove);
        Apply(line);
        Version = version;
    }

    public void ApplyTime(DateTimeOffset modified, IReadOnlyList<LogLine> lines)
    {
        var info = lines.Select(line => line.CommitInfo).FirstOrDefault(info => info is not null);
        timestamp = HasInCommitTimestamps && info is { } said && CommitInfo.InCommitTimestampOf(said) is { } time ? time : modified;
    }

    public Snapshot ToSnapshot()
    {
        if (protocol is null) throw new DeltaException($"the log of {paths.Table} has no protocol action up to version {Version}");
        if (metadata is null) throw new DeltaException($"the log of {paths.Table} has no metaData action up to version {Version}");
        if (metadata.SchemaString is null) throw new DeltaException($"the metaData action of {paths.Table} has no schemaString");
        TableFeatures.CheckReadable(paths.Table, protocol, metadata);
        var adds = files.Values.OrderBy(file => file.Number).Select(file => file.Add).ToList();
        if (files.Where(file => !TablePaths.IsInside(file.Key.Path)).Select(file => file.Value.Add.Path).FirstOrDefault() is { } outside)
            throw new DeltaException($"{paths.Table}: {outside} leads out of the table's folder, which is not supported");
        return new(Version, timestamp, SchemaJson.Parse(paths.Table, metadata.SchemaString), protocol, metadata, adds)
        {
            MappingMode = ColumnMapping.ModeOf(paths.Table, protocol, metadata),
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
            var key = KeyOf(add.Path, add.DeletionVector);
            tombstones.Remove(key);
            files[key] = (added++, add);
        }
        if (line.Txn is { } transaction) transactions[transaction.AppId] = transaction;
        if (line.DomainMetadata is { Removed: false } domain) domains[domain.Domain] = domain;
        if (line.DomainMetadata is { Removed: true } gone) domains.Remove(gone.Domain);
    }

    private void Remove(RemoveFile remove)
    {
        var key = KeyOf(remove.Path, remove.DeletionVector);
        files.Remove(key);
        tombstones[key] = remove;
    }

    private FileKey KeyOf(string path, DeletionVector? vector) => new(paths.Canonical(path), vector?.UniqueId);

    /// <summary>What makes two actions speak of the same rows: the file, and which of its rows are deleted.</summary>
    private readonly record struct FileKey(string Path, string? DeletionVectorId);
}
