using System.Text.Json;

namespace ModelOps.Workflows;

/// <summary>Every activity there is. Names are part of recorded histories: they never change their meaning.</summary>
public static class Activities
{
    public static readonly Activity<IngestDataset, IngestedDataset> IngestDataset = new("IngestDataset", WorkerRole.Data, ActivityLimits.Work);

    public static readonly Activity<TrainAdapter, TrainedAdapter> TrainAdapter = new("TrainAdapter", WorkerRole.Training, ActivityLimits.Work);

    public static readonly Activity<TrainAdapter, PlannedTraining> PlanTraining = new("PlanTraining", WorkerRole.Training, ActivityLimits.Work);

    public static readonly Activity<QuantizeModel, QuantizedModel> QuantizeModel = new("QuantizeModel", WorkerRole.Quantization, ActivityLimits.Work);

    public static readonly Activity<EvaluateModel, EvaluatedModel> EvaluateModel = new("EvaluateModel", WorkerRole.Evaluation, ActivityLimits.Work);

    public static readonly Activity<ResolveArtifact, ResolvedArtifact> ResolveArtifact = new("ResolveArtifact", WorkerRole.Control, ActivityLimits.Registry);

    public static readonly Activity<ResolveDataset, ResolvedDataset> ResolveDataset = new("ResolveDataset", WorkerRole.Control, ActivityLimits.Registry);

    public static readonly Activity<RegisterArtifact, PinnedArtifact> RegisterArtifact = new("RegisterArtifact", WorkerRole.Control, ActivityLimits.Registry);

    public static readonly Activity<RecordDatasetVersion, DatasetReference> RecordDatasetVersion =
        new("RecordDatasetVersion", WorkerRole.Control, ActivityLimits.Registry);

    public static readonly Activity<StoreTrainingResults, UploadedFile> StoreTrainingResults =
        new("StoreTrainingResults", WorkerRole.Control, ActivityLimits.Registry);

    public static readonly Activity<DeployModel, DeployedModel> DeployModel = new("DeployModel", WorkerRole.Control, ActivityLimits.Serving);

    public static readonly Activity<JobChange, JobChanged> RecordJob = new("RecordJob", WorkerRole.Control, ActivityLimits.Record);
}

/// <summary>A signed artifact, pinned by the SHA-256 of its manifest (hex).</summary>
public sealed record PinnedArtifact(string Name, string Version, string Digest)
{
    public override string ToString() => $"{Name}@{Version}";
}

/// <summary>A file in the blob store, by its content; <paramref name="Path"/> is its place inside the artifact.</summary>
public sealed record StoredFile(string Path, long Size, string Sha256);

/// <summary>Parses, checks and splits an uploaded file into the dataset's Delta tables.</summary>
/// <param name="Options">As ModelOps.Tables defines them.</param>
/// <param name="Job">The same at every try.</param>
/// <param name="Tokenizer">The model whose tokenizer counts the rows' tokens; null: they are not counted.</param>
public sealed record IngestDataset(string Dataset, StoredFile Source, JsonElement Options, string Job, PinnedArtifact? Tokenizer);

/// <param name="Task">What the rows are for: the canonical schema of the tables.</param>
/// <param name="TableVersions">Delta version per split, and of the quarantine.</param>
/// <param name="Rows">Per split.</param>
/// <param name="Report">As ModelOps.Tables defines it.</param>
/// <param name="ReportFile">The same, stored.</param>
public sealed record IngestedDataset(
    string Task,
    IReadOnlyDictionary<string, long> TableVersions,
    IReadOnlyDictionary<string, long> Rows,
    long RejectedRows,
    JsonElement Report,
    StoredFile ReportFile)
{
    /// <summary>Where the report lies in the dataset's artifact.</summary>
    public const string ReportPath = "ingestion-report.json";
}

/// <summary>A dataset version as its readers need it.</summary>
public sealed record DatasetReference(string Name, string Version, IReadOnlyDictionary<string, long> TableVersions, PinnedArtifact Artifact);

/// <summary>Training of a verified base on a dataset version; with the methods <c>full</c> and <c>pretrain</c> it makes a model instead of an adapter.</summary>
/// <param name="Recipe">What is said of it, as ModelOps.Recipes reads it; the rest is chosen from data, model and machine.</param>
public sealed record TrainAdapter(PinnedArtifact Base, DatasetReference Dataset, JsonElement Recipe)
{
    /// <summary>Whose validation rows the losses are measured on; null: those of <see cref="Dataset"/>.</summary>
    public DatasetReference? Validation { get; init; }
}

/// <param name="Recipe">As resolved, everything filled in.</param>
/// <param name="LossBefore">Nats per learned token on the validation split.</param>
/// <param name="EvaluatedOn">What the losses were measured on: <c>validation</c>, or <c>train_sample</c> where there is no validation row.</param>
/// <param name="TruncatedRows">Training rows that lost their end to the sequence length.</param>
/// <param name="SkippedRows">Training rows in which nothing is left to learn.</param>
/// <param name="Kind">Of the artifact: <c>adapter</c>, or <c>model</c> where every weight was trained.</param>
public sealed record TrainedAdapter(
    IReadOnlyList<StoredFile> Files,
    JsonElement Recipe,
    long Steps,
    long Tokens,
    double LossBefore,
    double LossAfter,
    double Seconds,
    string EvaluatedOn,
    int TruncatedRows,
    int SkippedRows,
    string Kind = "adapter");

/// <summary>What a training would do.</summary>
/// <param name="Plan">As ModelOps.Training defines it.</param>
/// <param name="Worker">Who made it, and so whose memory is meant: <c>training 4711@machine</c>.</param>
public sealed record PlannedTraining(JsonElement Plan, string Worker);

/// <summary>Merges the adapter, if any, converts to GGUF, compares with the trainer, quantizes to one type, and compares with the source.</summary>
/// <param name="Base">A model, or a GGUF file of F32, F16 or BF16 weights, which is quantized as it is.</param>
/// <param name="Dataset">Whose validation rows the comparisons are made on; null: greetings.</param>
/// <param name="Name">Of the model, whatever type it is quantized to.</param>
public sealed record QuantizeModel(PinnedArtifact Base, PinnedArtifact? Adapter, DatasetReference? Dataset, string Type, string Name)
{
    public const int DefaultRows = 64;
    public const int DefaultImportanceRows = 256;

    /// <summary>The first so many validation rows.</summary>
    public int Rows { get; set; } = DefaultRows;

    /// <summary>Whose training rows an importance matrix is computed from; null: without one.</summary>
    public DatasetReference? Importance { get; init; }

    /// <summary>The first so many of them.</summary>
    public int ImportanceRows { get; set; } = DefaultImportanceRows;

    /// <summary>What the GGUF file says of its licence.</summary>
    public string? License { get; init; }

    /// <summary>Whether other types of the same follow: what is merged and converted is kept for them.</summary>
    public bool More { get; init; }
}

/// <param name="Parity">Null where the trainer does not read the source.</param>
/// <param name="Fallbacks">Null of a worker of an earlier version, as the rest.</param>
public sealed record QuantizedModel(
    IReadOnlyList<StoredFile> Files,
    long Size,
    double BitsPerWeight,
    Parity? Parity,
    IReadOnlyList<TypeFallback>? Fallbacks = null,
    QuantizationQuality? Quality = null,
    QuantizationSpeed? Speed = null);

/// <summary>The trainer's forward against the unquantized GGUF.</summary>
/// <param name="TokenAgreement">Share of positions at which both choose the same token.</param>
public sealed record Parity(int Prompts, int Tokens, double MaxLogitDifference, double Tolerance, double TokenAgreement);

/// <summary>A tensor whose rows the wanted type cannot hold.</summary>
public sealed record TypeFallback(string Tensor, string WantedType, string Type);

/// <summary>The quantized model beside its source: nats per token.</summary>
public sealed record QuantizationQuality(
    int Texts,
    long Tokens,
    double SourcePerplexity,
    double Perplexity,
    double KlDivergence,
    double KlDivergenceP99,
    double KlDivergenceMax,
    double TopOneAgreement);

public sealed record QuantizationSpeed(double PromptTokensPerSecond, double DecodeTokensPerSecond, int PromptTokens, int Threads);

/// <summary>Measures a model on the rows of a dataset version, and another one beside it.</summary>
/// <param name="Against">Null: nothing is compared.</param>
/// <param name="Split">train, validation or test.</param>
/// <param name="Metrics">By name; none: what fits the rows.</param>
/// <param name="Rows">The first so many rows; null: all.</param>
/// <param name="MaxTokens">Tokens of an answer at most; null: 256.</param>
/// <param name="Seed">Of the bootstrap.</param>
/// <param name="Job">The same at every try: the table of rows is named by it.</param>
public sealed record EvaluateModel(
    EvaluatedSubject Candidate,
    EvaluatedSubject? Against,
    DatasetReference Dataset,
    string Split,
    IReadOnlyList<string> Metrics,
    int? Rows,
    int? MaxTokens,
    int Seed,
    string Job);

/// <param name="Adapter">On that base; null: the base itself.</param>
public sealed record EvaluatedSubject(PinnedArtifact Base, PinnedArtifact? Adapter);

/// <param name="Report">As ModelOps.Training defines it.</param>
/// <param name="Files">The same, stored, with the settings.</param>
/// <param name="Settings">Everything filled in: enough to do it again.</param>
/// <param name="Table">Path of the Delta table that has a row of every row.</param>
/// <param name="Rows">Rows that were looked at.</param>
/// <param name="SkippedRows">Rows without an answer of the assistant to compare with.</param>
public sealed record EvaluatedModel(
    JsonElement Report,
    IReadOnlyList<StoredFile> Files,
    JsonElement Settings,
    IReadOnlyDictionary<string, double> Metrics,
    string Table,
    long TableVersion,
    long Rows,
    long SkippedRows,
    double Seconds);

/// <summary>Finds <c>name</c> or <c>name@version</c>, verifies it, and answers what it is pinned to.</summary>
public sealed record ResolveArtifact(string Reference, IReadOnlyList<string> Kinds);

/// <param name="Base">For an adapter: its base model.</param>
/// <param name="Dataset">For an adapter: the dataset version that it was trained on.</param>
/// <param name="License">As its manifest has it; for an adapter without one, its base's.</param>
public sealed record ResolvedArtifact(PinnedArtifact Artifact, string Kind, PinnedArtifact? Base, DatasetReference? Dataset, string? License = null);

/// <summary>Finds a dataset version (<c>name</c> or <c>name@version</c>) and verifies its artifact.</summary>
public sealed record ResolveDataset(string Reference);

public sealed record ResolvedDataset(DatasetReference Dataset);

/// <param name="Parents">Parents by role.</param>
public sealed record RegisterArtifact(
    string Name,
    string Kind,
    IReadOnlyList<StoredFile> Files,
    IReadOnlyDictionary<string, PinnedArtifact> Parents,
    JsonElement? Recipe,
    IReadOnlyDictionary<string, double> Metrics,
    IReadOnlyDictionary<string, string> Attributes,
    string CreatedBy);

/// <summary>Signs a dataset version and lists it.</summary>
public sealed record RecordDatasetVersion(
    string Dataset, StoredFile Source, IngestedDataset Ingested, string CreatedBy);

/// <summary>A file that somebody uploaded, or that a job made for them, by its id in OpenAI's API.</summary>
public sealed record UploadedFile(string Id, StoredFile Content);

/// <summary>Writes the metrics of the job's steps into a file of the user's. The job has one, however often it is asked for.</summary>
public sealed record StoreTrainingResults(string CreatedBy);

/// <summary>Serves a gguf artifact under a name; what was served under it is replaced.</summary>
public sealed record DeployModel(string Name, PinnedArtifact Artifact, string CreatedBy);

public sealed record DeployedModel(string Name);
