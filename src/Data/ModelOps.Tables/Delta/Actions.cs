using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Tables.Delta;

/// <summary>One line of a commit: exactly one member is set (PROTOCOL.md, "Actions"). Members of other names are passed over.</summary>
internal sealed record LogLine
{
    /// <summary>Any JSON: the protocol leaves it to writers. <see cref="Delta.CommitInfo.From"/> reads what is usual.</summary>
    public JsonElement? CommitInfo { get; init; }

    public Protocol? Protocol { get; init; }

    public Metadata? MetaData { get; init; }

    public AddFile? Add { get; init; }

    public RemoveFile? Remove { get; init; }

    public AddChangeFile? Cdc { get; init; }

    public Transaction? Txn { get; init; }

    public DomainMetadata? DomainMetadata { get; init; }

    /// <summary>Only in a checkpoint of the V2 spec.</summary>
    public Sidecar? Sidecar { get; init; }

    /// <summary>Only in a checkpoint of the V2 spec.</summary>
    public CheckpointMetadata? CheckpointMetadata { get; init; }
}

/// <summary>One file of rows that a version of the table has.</summary>
/// <param name="Path">URI-encoded, relative to the table's folder or absolute.</param>
/// <param name="PartitionValues">Per partition column (its physical name), as text; null: the value is null.</param>
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
    IReadOnlyDictionary<string, string?>? Tags = null,
    DeletionVector? DeletionVector = null,
    long? BaseRowId = null,
    long? DefaultRowCommitVersion = null,
    string? ClusteringProvider = null);

/// <summary>Which rows of a file are deleted (PROTOCOL.md, "Deletion Vector Descriptor Schema").</summary>
/// <param name="StorageType">u: a file named by a UUID below the table's folder; p: a file by its absolute path; i: inline.</param>
/// <param name="SizeInBytes">Of the bitmap, without the length and checksum around it.</param>
/// <param name="Cardinality">How many rows are deleted.</param>
/// <param name="Offset">Where in the file it begins; null: at its beginning.</param>
public sealed record DeletionVector(string StorageType, string PathOrInlineDv, int SizeInBytes, long Cardinality, int? Offset = null)
{
    /// <summary>What tells two of the same file apart.</summary>
    [JsonIgnore]
    public string UniqueId => Offset is { } offset ? $"{StorageType}{PathOrInlineDv}@{offset}" : $"{StorageType}{PathOrInlineDv}";
}

/// <param name="DeletionTimestamp">Milliseconds since the Unix epoch.</param>
/// <param name="ExtendedFileMetadata">Whether <paramref name="PartitionValues"/>, <paramref name="Size"/> and <paramref name="Tags"/> are said.</param>
internal sealed record RemoveFile(
    string Path,
    bool DataChange,
    long? DeletionTimestamp = null,
    bool? ExtendedFileMetadata = null,
    IReadOnlyDictionary<string, string?>? PartitionValues = null,
    long? Size = null,
    string? Stats = null,
    IReadOnlyDictionary<string, string?>? Tags = null,
    DeletionVector? DeletionVector = null,
    long? BaseRowId = null,
    long? DefaultRowCommitVersion = null);

/// <summary>A file of changed rows, with the column _change_type, for readers of changes only.</summary>
internal sealed record AddChangeFile(
    string Path,
    IReadOnlyDictionary<string, string?> PartitionValues,
    long Size,
    bool DataChange,
    IReadOnlyDictionary<string, string?>? Tags = null);

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

/// <summary>How far an application has got: its own version, committed together with its rows.</summary>
/// <param name="LastUpdated">Milliseconds since the Unix epoch.</param>
internal sealed record Transaction(string AppId, long Version, long? LastUpdated = null);

/// <param name="Configuration">Any text that the domain's writers agreed on.</param>
internal sealed record DomainMetadata(string Domain, string Configuration, bool Removed);

/// <param name="Path">URI-encoded: a name in _delta_log/_sidecars, or absolute.</param>
/// <param name="ModificationTime">Milliseconds since the Unix epoch.</param>
internal sealed record Sidecar(string Path, long SizeInBytes, long ModificationTime, IReadOnlyDictionary<string, string?>? Tags = null);

internal sealed record CheckpointMetadata(long Version, IReadOnlyDictionary<string, string?>? Tags = null);

/// <summary>Who made a commit and how. All of it is optional; the names are those that Spark writes.</summary>
internal sealed record CommitInfo
{
    /// <summary>Milliseconds since the Unix epoch, strictly growing from commit to commit (feature inCommitTimestamp).</summary>
    public long? InCommitTimestamp { get; init; }

    /// <summary>Milliseconds since the Unix epoch, by the writer's clock.</summary>
    public long? Timestamp { get; init; }

    public string? UserId { get; init; }

    public string? UserName { get; init; }

    public string? Operation { get; init; }

    /// <summary>Values are JSON texts or plain texts, as the writer chose.</summary>
    public IReadOnlyDictionary<string, string>? OperationParameters { get; init; }

    public JobInfo? Job { get; init; }

    /// <summary>The version that the writer read.</summary>
    public long? ReadVersion { get; init; }

    /// <summary>Serializable, WriteSerializable or SnapshotIsolation.</summary>
    public string? IsolationLevel { get; init; }

    public bool? IsBlindAppend { get; init; }

    public IReadOnlyDictionary<string, string>? OperationMetrics { get; init; }

    public string? EngineInfo { get; init; }

    public string? TxnId { get; init; }

    public string? TraceId { get; init; }

    /// <summary>What is usual in a commit's commitInfo; members of another shape than expected are null.</summary>
    public static CommitInfo From(JsonElement info) => info.ValueKind != JsonValueKind.Object ? new() : new()
    {
        InCommitTimestamp = Long(info, "inCommitTimestamp"),
        Timestamp = Long(info, "timestamp"),
        UserId = Text(info, "userId"),
        UserName = Text(info, "userName"),
        Operation = Text(info, "operation"),
        OperationParameters = Texts(info, "operationParameters"),
        Job = info.TryGetProperty("job", out var job) && job.ValueKind == JsonValueKind.Object && Text(job, "jobId") is { } id ? new(id) : null,
        ReadVersion = Long(info, "readVersion"),
        IsolationLevel = Text(info, "isolationLevel"),
        IsBlindAppend = info.TryGetProperty("isBlindAppend", out var blind) && blind.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? blind.GetBoolean()
            : null,
        OperationMetrics = Texts(info, "operationMetrics"),
        EngineInfo = Text(info, "engineInfo"),
        TxnId = Text(info, "txnId"),
        TraceId = Text(info, "traceId"),
    };

    /// <returns>null: it does not say.</returns>
    public static DateTimeOffset? InCommitTimestampOf(JsonElement info) =>
        info.ValueKind == JsonValueKind.Object && Long(info, "inCommitTimestamp") is { } milliseconds ? Time(milliseconds) : null;

    /// <summary>The nearest there is, for times beyond what a date can be.</summary>
    public static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(
        Math.Clamp(milliseconds, DateTimeOffset.MinValue.ToUnixTimeMilliseconds(), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));

    private static string? Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long? Long(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;

    private static Dictionary<string, string>? Texts(JsonElement parent, string name)
    {
        if (!parent.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.Object) return null;
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var member in value.EnumerateObject()) texts[member.Name] = member.Value.ToString();
        return texts;
    }
}

/// <summary>An object, not a text, because Spark reads it as one.</summary>
internal sealed record JobInfo(string JobId);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(LogLine))]
[JsonSerializable(typeof(CommitInfo))]
[JsonSerializable(typeof(LastCheckpoint))]
[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class DeltaJson : JsonSerializerContext;
