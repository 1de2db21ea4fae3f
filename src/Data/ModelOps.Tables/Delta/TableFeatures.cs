using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>What of the protocol this reader and writer know (PROTOCOL.md, "Table Features").</summary>
internal static class TableFeatures
{
    private const string TimestampNtz = "timestampNtz";
    private const string InCommitTimestamp = "inCommitTimestamp";

    private static readonly string[] Readable =
        [TimestampNtz, "vacuumProtocolCheck", "columnMapping", "deletionVectors", "v2Checkpoint", "typeWidening", "typeWidening-preview"];

    private static readonly string[] Writable = [TimestampNtz, "appendOnly", "invariants"];

    /// <summary>The least that a table of this schema needs, so that old readers can read it.</summary>
    public static Protocol For(Schema schema) => schema.FieldsList.Any(field => HasLocalTime(field.DataType))
        ? new(MinReaderVersion: 3, MinWriterVersion: 7, [TimestampNtz], [TimestampNtz, "appendOnly", "invariants"])
        : new(MinReaderVersion: 1, MinWriterVersion: 2);

    /// <exception cref="DeltaException">Reading the table needs more than this reader knows.</exception>
    public static void CheckReadable(string table, Protocol protocol, Metadata metadata)
    {
        if (protocol.MinReaderVersion is < 1 or > 3)
            throw new DeltaException($"{table} needs a reader of protocol version {protocol.MinReaderVersion}; this one knows 1 to 3");
        var unknown = protocol.MinReaderVersion < 3 ? [] : Unknown(protocol.ReaderFeatures, Readable);
        if (unknown.Length > 0)
            throw new DeltaException($"{table} needs reader features that are not supported: {string.Join(", ", unknown)}");
        if (metadata.Format.Provider != "parquet")
            throw new DeltaException($"{table} keeps its rows as {metadata.Format.Provider}; only parquet is supported");
    }

    /// <exception cref="DeltaException">A writer of this table must do more than this one does.</exception>
    public static void CheckWritable(string table, Snapshot snapshot)
    {
        var protocol = snapshot.Protocol;
        var unknown = protocol.MinWriterVersion < 7 ? [] : Unknown(protocol.WriterFeatures, Writable);
        if (protocol.MinWriterVersion is < 1 or (> 2 and not 7) || unknown.Length > 0)
            throw new DeltaException(
                $"{table} needs a writer of protocol version {protocol.MinWriterVersion} [{string.Join(", ", unknown)}], which is not supported");
        if (snapshot.Metadata.PartitionColumns is { Count: > 0 } partitions)
            throw new DeltaException($"{table} is partitioned by {string.Join(", ", partitions)}; writing that is not supported");
        if (snapshot.Schema.FieldsList.FirstOrDefault(field => field.Metadata?.ContainsKey("delta.invariants") == true) is { } guarded)
            throw new DeltaException($"{table} has an invariant on column {guarded.Name}; writing that is not supported");
    }

    public static bool HasInCommitTimestamps(Protocol protocol, Metadata metadata) =>
        protocol.WriterFeatures?.Contains(InCommitTimestamp, StringComparer.Ordinal) == true
        && string.Equals(Setting(metadata, "delta.enableInCommitTimestamps"), "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether rows may only be added (delta.appendOnly).</summary>
    public static bool IsAppendOnly(Snapshot snapshot) =>
        string.Equals(Setting(snapshot.Metadata, "delta.appendOnly"), "true", StringComparison.OrdinalIgnoreCase);

    private static bool HasLocalTime(IArrowType type) => type switch
    {
        TimestampType timestamp => timestamp.Timezone is null,
        NestedType nested => nested.Fields.Any(field => HasLocalTime(field.DataType)),
        _ => false,
    };

    private static string[] Unknown(IReadOnlyList<string>? features, string[] known) =>
        [.. (features ?? []).Except(known, StringComparer.Ordinal)];

    private static string? Setting(Metadata metadata, string name) => metadata.Configuration?.GetValueOrDefault(name);
}
