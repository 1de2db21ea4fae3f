using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Tables.Delta;

/// <summary>One file of rows that a version of the table has.</summary>
/// <param name="Path">URI-encoded, relative to the table's folder.</param>
/// <param name="PartitionValues">Per partition column, as text; null: the value is null.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ModificationTime">Milliseconds since the Unix epoch.</param>
/// <param name="Stats">JSON text: numRecords, minValues, maxValues, nullCount. The bounds may be wider than the values.</param>
public sealed record AddFile(
    string Path,
    IReadOnlyDictionary<string, string?> PartitionValues,
    long Size,
    long ModificationTime,
    bool DataChange,
    string? Stats = null,
    JsonElement? DeletionVector = null);

/// <param name="DeletionTimestamp">Milliseconds since the Unix epoch.</param>
internal sealed record RemoveFile(
    string Path,
    bool DataChange,
    long? DeletionTimestamp = null,
    bool? ExtendedFileMetadata = null,
    IReadOnlyDictionary<string, string?>? PartitionValues = null,
    long? Size = null);

internal sealed record Protocol(
    int MinReaderVersion,
    int MinWriterVersion,
    IReadOnlyList<string>? ReaderFeatures = null,
    IReadOnlyList<string>? WriterFeatures = null);

internal sealed record Metadata(
    string Id,
    FileFormat Format,
    IReadOnlyList<string> PartitionColumns,
    string? SchemaString = null,
    IReadOnlyDictionary<string, string>? Configuration = null,
    long? CreatedTime = null,
    string? Name = null,
    string? Description = null);

internal sealed record FileFormat(string Provider, IReadOnlyDictionary<string, string>? Options = null);

/// <summary>One line of a commit. Actions of other kinds (txn, cdc, domainMetadata) change no rows and are passed over.</summary>
internal sealed record LogLine
{
    /// <summary>Any JSON: the protocol leaves it to writers.</summary>
    public JsonElement? CommitInfo { get; init; }

    public Protocol? Protocol { get; init; }

    public Metadata? MetaData { get; init; }

    public AddFile? Add { get; init; }

    public RemoveFile? Remove { get; init; }
}

/// <param name="Timestamp">Milliseconds since the Unix epoch.</param>
/// <param name="OperationParameters">Values are JSON texts.</param>
internal sealed record CommitInfo(
    long Timestamp, string Operation, IReadOnlyDictionary<string, string> OperationParameters, bool IsBlindAppend, string EngineInfo);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(LogLine))]
[JsonSerializable(typeof(CommitInfo))]
internal sealed partial class DeltaJson : JsonSerializerContext;
