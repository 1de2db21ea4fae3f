namespace ModelOps.Tables.Delta;

/// <summary>What of the protocol this reader and writer know (PROTOCOL.md, "Table Features").</summary>
internal static class TableFeatures
{
    private const string TimestampNtz = "timestampNtz";
    private const string InCommitTimestamp = "inCommitTimestamp";

    private static readonly string[] Readable =
        [TimestampNtz, "vacuumProtocolCheck", "columnMapping", "deletionVectors", "v2Checkpoint", "typeWidening", "typeWidening-preview"];

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

    public static bool HasInCommitTimestamps(Protocol protocol, Metadata metadata) =>
        protocol.WriterFeatures?.Contains(InCommitTimestamp, StringComparer.Ordinal) == true
        && string.Equals(Setting(metadata, "delta.enableInCommitTimestamps"), "true", StringComparison.OrdinalIgnoreCase);

    private static string[] Unknown(IReadOnlyList<string>? features, string[] known) =>
        [.. (features ?? []).Except(known, StringComparer.Ordinal)];

    private static string? Setting(Metadata metadata, string name) => metadata.Configuration?.GetValueOrDefault(name);
}
