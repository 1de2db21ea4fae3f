namespace ModelOps.Cli.Tables;

/// <summary>A Delta table as one version has it.</summary>
/// <param name="Rows">Null: the statistics of some file do not say.</param>
/// <param name="Features">Of the protocol, those of readers and writers.</param>
/// <param name="Properties">The table's own, like delta.appendOnly.</param>
internal sealed record TableSummary(
    string Path,
    long Version,
    DateTimeOffset Timestamp,
    long Files,
    long Bytes,
    long? Rows,
    IReadOnlyList<TableColumn> Columns,
    IReadOnlyList<string> PartitionColumns,
    int MinReaderVersion,
    int MinWriterVersion,
    IReadOnlyList<string> Features,
    IReadOnlyDictionary<string, string> Properties);

/// <param name="Type">As Delta calls it, with what is nested in it.</param>
internal sealed record TableColumn(string Name, string Type, bool Nullable);

/// <summary>The commits that a table's log still has, latest first.</summary>
internal sealed record TableHistory(IReadOnlyList<TableCommit> Items);

/// <summary>Who made a version, when and how; what its writer did not say is left out.</summary>
/// <param name="Parameters">As the writer put them.</param>
/// <param name="Metrics">As the writer counted.</param>
internal sealed record TableCommit(
    long Version,
    DateTimeOffset Timestamp,
    string? Operation,
    string? User,
    string? Job,
    string? TraceId,
    string? Engine,
    long? ReadVersion,
    string? IsolationLevel,
    bool? IsBlindAppend,
    IReadOnlyDictionary<string, string>? Parameters,
    IReadOnlyDictionary<string, string>? Metrics);
