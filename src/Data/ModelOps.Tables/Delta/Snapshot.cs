using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>A table as one version has it.</summary>
public sealed class Snapshot
{
    internal Snapshot(long version, DateTimeOffset timestamp, Schema schema, Protocol protocol, Metadata metadata, IReadOnlyList<AddFile> files) =>
        (Version, Timestamp, Schema, Protocol, Metadata, Files) = (version, timestamp, schema, protocol, metadata, files);

    public long Version { get; }

    /// <summary>When it was committed: strictly later than the version before it.</summary>
    public DateTimeOffset Timestamp { get; }

    public Schema Schema { get; }

    public IReadOnlyList<AddFile> Files { get; }

    public IReadOnlyList<string> PartitionColumns => Metadata.PartitionColumns;

    internal Protocol Protocol { get; }

    internal Metadata Metadata { get; }

    internal ColumnMappingMode MappingMode { get; init; }

    /// <summary>Files that the log still remembers to have been removed.</summary>
    internal IReadOnlyList<RemoveFile> Tombstones { get; init; } = [];

    /// <summary>By application id.</summary>
    internal IReadOnlyDictionary<string, Transaction> Transactions { get; init; } = new Dictionary<string, Transaction>(StringComparer.Ordinal);

    /// <summary>By domain; removed ones are not among them.</summary>
    internal IReadOnlyDictionary<string, DomainMetadata> Domains { get; init; } = new Dictionary<string, DomainMetadata>(StringComparer.Ordinal);
}
