using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>A table as one version has it.</summary>
public sealed class Snapshot
{
    internal Snapshot(long version, Schema schema, Protocol protocol, Metadata metadata, IReadOnlyList<AddFile> files) =>
        (Version, Schema, Protocol, Metadata, Files) = (version, schema, protocol, metadata, files);

    public long Version { get; }

    public Schema Schema { get; }

    public IReadOnlyList<AddFile> Files { get; }

    internal Protocol Protocol { get; }

    internal Metadata Metadata { get; }
}
