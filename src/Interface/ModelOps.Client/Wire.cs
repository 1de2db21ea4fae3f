using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Client;

// The wire types of /api/v1. JSON names are snake_case; absent and null are the same.
// A property with a default has a setter: generated deserialization gives an absent init-only property null or 0 instead of its default.

/// <summary>RFC 9457 problem details. <see cref="Type"/> is stable: clients decide by it.</summary>
public sealed record Problem
{
    public string Type { get; set; } = "about:blank";
    public string Title { get; set; } = "";
    public int Status { get; init; }
    public string? Detail { get; init; }
    /// <summary>Every fault found in the input, each saying what, where and what to do.</summary>
    public IReadOnlyList<string> Errors { get; set; } = [];
}

/// <summary>The stable problem types and the exit code that the command line gives each.</summary>
public static class ProblemTypes
{
    public const string Invalid = "urn:modelops:problem:invalid";
    public const string Malformed = "urn:modelops:problem:malformed";
    public const string TooLarge = "urn:modelops:problem:too-large";
    public const string UnsupportedMediaType = "urn:modelops:problem:unsupported-media-type";
    public const string MethodNotAllowed = "urn:modelops:problem:method-not-allowed";
    public const string RequestTimeout = "urn:modelops:problem:request-timeout";
    public const string TooManyRequests = "urn:modelops:problem:too-many-requests";
    public const string QuotaExceeded = "urn:modelops:problem:quota-exceeded";
    public const string NotFound = "urn:modelops:problem:not-found";
    public const string Unauthorized = "urn:modelops:problem:unauthorized";
    public const string Forbidden = "urn:modelops:problem:forbidden";
    public const string Conflict = "urn:modelops:problem:conflict";
    public const string VerificationFailed = "urn:modelops:problem:verification-failed";
    public const string GatesNotMet = "urn:modelops:problem:gates-not-met";
    public const string Unavailable = "urn:modelops:problem:unavailable";
    public const string InsufficientStorage = "urn:modelops:problem:insufficient-storage";
    public const string Internal = "urn:modelops:problem:internal";
}

/// <summary>One page of a list, oldest first unless the endpoint says otherwise.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items);

// --- jobs

[JsonConverter(typeof(JsonStringEnumConverter<JobState>))]
public enum JobState
{
    [JsonStringEnumMemberName("queued")] Queued,
    [JsonStringEnumMemberName("running")] Running,
    [JsonStringEnumMemberName("paused")] Paused,
    [JsonStringEnumMemberName("succeeded")] Succeeded,
    [JsonStringEnumMemberName("failed")] Failed,
    [JsonStringEnumMemberName("canceled")] Canceled,
}

[JsonConverter(typeof(JsonStringEnumConverter<JobPriority>))]
public enum JobPriority
{
    [JsonStringEnumMemberName("low")] Low,
    [JsonStringEnumMemberName("normal")] Normal,
    [JsonStringEnumMemberName("high")] High,
}

/// <summary>Anything long: what it is, how far it is, how it ended.</summary>
public sealed record Job
{
    public required string Id { get; init; }
    /// <summary><c>ingestion</c>, <c>sft</c>, <c>quantization</c>, <c>evaluation</c> or <c>fine_tuning</c>.</summary>
    public required string Kind { get; init; }
    public required JobState State { get; init; }
    /// <summary>What it is at while it runs: the name of the activity; null before the first and behind the last.</summary>
    public string? Step { get; init; }
    /// <summary>Runs of the job, this one with them; a retry is the same job again.</summary>
    public int Attempts { get; set; } = 1;
    /// <summary>Of jobs that wait for the same kind of worker, those of higher priority begin first.</summary>
    public JobPriority Priority { get; set; } = JobPriority.Normal;
    public string? CreatedBy { get; init; }
    /// <summary>Of the request that started it: it stands in every log line and span that the job makes.</summary>
    public string? TraceId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public required JsonElement Input { get; init; }
    /// <summary>What the kind of job returns: <see cref="IngestionResult"/>, <see cref="TrainingResult"/>, <see cref="QuantizationResult"/>, <see cref="EvaluationResult"/>, <see cref="FineTuningResult"/>.</summary>
    public JsonElement? Result { get; init; }
    /// <summary>What it registered, <c>name@version</c>.</summary>
    public IReadOnlyList<string> Artifacts { get; set; } = [];
    public JobProgress? Progress { get; init; }
    public JobError? Error { get; init; }
    /// <summary>Those that it goes on from when it is resumed or retried; not in lists, and null where there is none.</summary>
    public IReadOnlyList<JobCheckpoint>? Checkpoints { get; init; }
}

/// <param name="Stage">What is being done, for people: <c>training</c>, <c>evaluating</c>.</param>
/// <param name="Step">Steps, rows or bytes done in this stage.</param>
/// <param name="Total">Of how many; null when unknown.</param>
/// <param name="Metrics">Latest values, for example <c>loss</c>, <c>learning_rate</c>, <c>tokens_per_second</c>.</param>
/// <param name="EtaSeconds">Until this stage is done, at its speed so far; null when unknown.</param>
public sealed record JobProgress(
    string Stage, long Step, long? Total, IReadOnlyDictionary<string, double> Metrics, double? EtaSeconds = null);

/// <param name="Type">Stable name of the cause.</param>
/// <param name="Message">What happened, and where.</param>
/// <param name="Advice">What to do about it.</param>
public sealed record JobError(string Type, string Message, string? Advice = null);

/// <summary>One event of a job, in order. <see cref="Sequence"/> rises from 1 and is the SSE event id; numbers of progress that newer progress took the place of are missing.</summary>
public sealed record JobEvent
{
    public required long Sequence { get; init; }
    public required DateTimeOffset At { get; init; }
    public required JobState State { get; init; }
    public JobProgress? Progress { get; init; }
    public string? Message { get; init; }
}

[JsonConverter(typeof(JsonStringEnumConverter<JobLogLevel>))]
public enum JobLogLevel
{
    [JsonStringEnumMemberName("trace")] Trace,
    [JsonStringEnumMemberName("debug")] Debug,
    [JsonStringEnumMemberName("info")] Info,
    [JsonStringEnumMemberName("warning")] Warning,
    [JsonStringEnumMemberName("error")] Error,
    [JsonStringEnumMemberName("critical")] Critical,
}

/// <summary>A line that was logged while a worker ran a step of the job. Of a job the last 10,000 are kept.</summary>
public sealed record JobLogEntry
{
    /// <summary>Counts from 1 within the job and is the SSE event id.</summary>
    public required long Sequence { get; init; }
    public required DateTimeOffset At { get; init; }
    public required JobLogLevel Level { get; init; }
    /// <summary>The activity that ran; null where it is not known.</summary>
    public string? Step { get; init; }
    /// <summary>Of the step, from 1; null where it is not known.</summary>
    public int? Attempt { get; init; }
    /// <summary>Of the run of the job that it belongs to; null where it is not known.</summary>
    public string? TraceId { get; init; }
    /// <summary>Of the span in which it was logged; null where it is not known.</summary>
    public string? SpanId { get; init; }
    /// <summary>May have several lines, such as those of an exception.</summary>
    public required string Text { get; init; }
}

// --- datasets

public sealed record Dataset
{
    public required string Name { get; init; }
    public required IReadOnlyList<DatasetVersion> Versions { get; init; }
}

public sealed record DatasetVersion
{
    public required string Version { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary><c>sft</c>, <c>preference</c>, <c>kto</c> or <c>text</c>: the canonical schema of the rows.</summary>
    public required string Task { get; init; }
    /// <summary>Rows per split: train, validation, test.</summary>
    public required IReadOnlyDictionary<string, long> Rows { get; init; }
    public required long RejectedRows { get; init; }
    public required string SourceSha256 { get; init; }
    /// <summary>The signed artifact of this version, <c>name@version</c>.</summary>
    public required string Artifact { get; init; }
    /// <summary>What became of the file; only of the last version where one dataset is asked for.</summary>
    public IngestionReport? Report { get; init; }
}

/// <summary>Starts an <c>ingestion</c> job: the uploaded file becomes the next version of the dataset.</summary>
public sealed record CreateDatasetVersion
{
    /// <summary>SHA-256 of the uploaded blob, hex.</summary>
    public required string Source { get; init; }
    /// <summary>Its name at the user's.</summary>
    public required string FileName { get; init; }
    public IngestionOptions? Options { get; init; }
    /// <value>The default is normal.</value>
    public JobPriority Priority { get; set; } = JobPriority.Normal;
}

/// <summary>Result of an <c>ingestion</c> job.</summary>
public sealed record IngestionResult
{
    public required string Dataset { get; init; }
    public required string Version { get; init; }
    public required string Artifact { get; init; }
    public required IngestionReport Report { get; init; }
}

// --- artifacts

/// <summary>A file uploaded ahead of an artifact, addressed by its content.</summary>
public sealed record Blob(string Sha256, long Size);

public sealed record ArtifactFile(string Path, long Size, string Sha256);

/// <param name="Role">base, dataset, adapter, source or tokenizer.</param>
/// <param name="Artifact"><c>name@version</c>.</param>
/// <param name="Digest">SHA-256 of the parent's manifest, hex.</param>
public sealed record ArtifactParent(string Role, string Artifact, string Digest);

public sealed record CreateArtifact
{
    public required string Name { get; init; }
    /// <value>The default is the next free whole number.</value>
    public string? Version { get; init; }
    /// <summary>model, adapter, gguf, dataset, index or reward.</summary>
    public required string Kind { get; init; }
    public required IReadOnlyList<ArtifactFile> Files { get; init; }
    /// <summary>SPDX expression, or the name of a licence.</summary>
    public string? License { get; init; }
    /// <summary>Where the files come from, e.g. <c>hf:org/name@commit</c>.</summary>
    public string? Source { get; init; }
}

public sealed record Artifact
{
    public required string Name { get; init; }
    public required string Version { get; init; }
    public required string Kind { get; init; }
    /// <summary>DEV, STAGING, PRODUCTION or ARCHIVED.</summary>
    public required string Stage { get; init; }
    /// <summary>SHA-256 of the manifest, hex.</summary>
    public required string Digest { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required string CreatedBy { get; init; }
    public required long Size { get; init; }
    public required IReadOnlyList<ArtifactFile> Files { get; init; }
    public required IReadOnlyList<ArtifactParent> Parents { get; init; }
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }
    /// <summary>SPDX expression, or the name of a licence; null where nobody said.</summary>
    public string? License { get; init; }
    /// <summary>Where the files come from; null where they were made here or nobody said.</summary>
    public string? Source { get; init; }
    /// <summary>When retention let its files go; null while it has them.</summary>
    public DateTimeOffset? FilesRemovedAt { get; init; }
    /// <summary>The aliases that point to this version; not in lists.</summary>
    public IReadOnlyList<string> Aliases { get; set; } = [];
    /// <summary>Verdicts on its promotions, newest first; not in lists.</summary>
    public IReadOnlyList<Approval> Approvals { get; set; } = [];
}

public sealed record Verification
{
    public required string Artifact { get; init; }
    public required bool Verified { get; init; }
    /// <summary>One line per check: the signature, the key's trust, every file, every parent up to the roots.</summary>
    public required IReadOnlyList<VerificationCheck> Checks { get; init; }
}

public sealed record VerificationCheck(string Artifact, string Check, bool Passed, string? Detail);

// --- training and quantization

/// <summary>
/// Starts supervised fine-tuning; what neither the recipe nor another property says is chosen from data, model and machine. Where both say
/// something of the same key, the property wins.
/// </summary>
public sealed record CreateTraining
{
    /// <summary><c>name[@version]</c> of a model.</summary>
    public required string Base { get; init; }
    /// <summary><c>name[@version]</c> of a dataset.</summary>
    public required string Dataset { get; init; }
    /// <summary>Name of the artifact made: an adapter, or a model where the method is <c>full</c> or <c>pretrain</c>.</summary>
    public required string Name { get; init; }
    /// <summary>An object of a recipe's keys, or the text of a recipe file, YAML or JSON.</summary>
    public JsonElement? Recipe { get; init; }
    /// <summary><c>lora</c>, <c>qlora</c>, <c>full</c> or <c>pretrain</c>.</summary>
    public string? Method { get; init; }
    /// <summary>Where pretraining begins: <c>base</c> or <c>random</c>.</summary>
    public string? Initialization { get; init; }
    public int? Epochs { get; init; }
    public int? MaxSteps { get; init; }
    public int? Rank { get; init; }
    public double? LearningRate { get; init; }
    public int? BatchSize { get; init; }
    public int? SequenceLength { get; init; }
    public int? Seed { get; init; }
    /// <value>The default is normal.</value>
    public JobPriority Priority { get; set; } = JobPriority.Normal;
}

/// <summary>Result of an <c>sft</c> or a <c>pretraining</c> job. Losses are nats per learned token on <see cref="EvaluatedOn"/>.</summary>
public sealed record TrainingResult
{
    public required string Artifact { get; init; }
    public required long Steps { get; init; }
    public required long Tokens { get; init; }
    public required double LossBefore { get; init; }
    public required double LossAfter { get; init; }
    /// <summary><c>validation</c>, or <c>train_sample</c> where the dataset has no validation row.</summary>
    public required string EvaluatedOn { get; init; }
    /// <summary>Training rows that lost their end to the sequence length.</summary>
    public required int TruncatedRows { get; init; }
    /// <summary>Training rows in which nothing was left to learn.</summary>
    public required int SkippedRows { get; init; }
    public required double Seconds { get; init; }
}

/// <summary>Result of a <c>fine_tuning</c> job, which OpenAI's API starts.</summary>
public sealed record FineTuningResult
{
    /// <summary>The name that it answers under: <c>ft:BASE:ORGANIZATION:SUFFIX:ID</c>.</summary>
    public required string Model { get; init; }
    /// <summary>What was registered on the way.</summary>
    public required IReadOnlyList<FineTunedArtifact> Artifacts { get; init; }
    /// <summary>Id of the file of OpenAI's API that has the metrics of each step.</summary>
    public required string ResultFile { get; init; }
    /// <summary>As it was resolved, everything filled in.</summary>
    public required JsonElement Recipe { get; init; }
    public required TrainingResult Training { get; init; }
}

/// <param name="Role">served, adapter, dataset or validation.</param>
/// <param name="Artifact"><c>name@version</c>.</param>
public sealed record FineTunedArtifact(string Role, string Artifact);

/// <summary>Result of a <c>training_plan</c> job: what the training would do and take. Memory is of the machine that <see cref="Worker"/> runs on.</summary>
public sealed record TrainingPlan
{
    /// <summary>Everything filled in.</summary>
    public required JsonElement Recipe { get; init; }
    public required PlannedRows TrainRows { get; init; }
    public required PlannedRows ValidationRows { get; init; }
    /// <summary>Rows of tokens that the training rows are packed into.</summary>
    public required int PackedRows { get; init; }
    /// <summary>In all training rows, each once.</summary>
    public required long Tokens { get; init; }
    public required IReadOnlyList<PlannedMemory> Memory { get; init; }
    /// <summary>Bytes, of all parts.</summary>
    public required long MemoryNeeded { get; init; }
    /// <summary>Bytes that the worker may take.</summary>
    public required long MemoryAvailable { get; init; }
    /// <summary>Where it does not fit: changes of the recipe with which it would.</summary>
    public required IReadOnlyList<PlannedChange> WouldFit { get; init; }
    /// <summary>What one may want otherwise of the rows, and what to do.</summary>
    public required IReadOnlyList<string> Advice { get; init; }
    /// <summary>Who made the plan: <c>training 4711@machine</c>.</summary>
    public string? Worker { get; set; }
}

/// <param name="Used">Learned from or measured on, the truncated ones included.</param>
/// <param name="Truncated">Lose their end to the sequence length.</param>
/// <param name="Skipped">There is nothing in them to learn.</param>
public sealed record PlannedRows(int Used, int Truncated, int Skipped, string? FirstSkipReason = null);

/// <param name="Part">What it is for.</param>
public sealed record PlannedMemory(string Part, long Bytes);

/// <param name="Change">As a recipe would have it.</param>
/// <param name="Bytes">That it would take.</param>
public sealed record PlannedChange(string Change, long Bytes);

/// <remarks>Unknown properties are refused: <c>type</c>, which was once the name, must not be taken for the default.</remarks>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CreateQuantization
{
    /// <summary><c>name[@version]</c> of a model, of an adapter, which is merged into its base first, or of a gguf of F32, F16 or BF16 weights.</summary>
    public required string Artifact { get; init; }
    /// <summary>llama.cpp's names; one artifact is made of each.</summary>
    /// <value>The default is Q8_0.</value>
    public IReadOnlyList<string> Types { get; set; } = ["Q8_0"];
    /// <summary>Name of the gguf artifact made; of several types each has its own behind it: <c>name-q4-k-m</c>.</summary>
    public required string Name { get; init; }
    /// <summary><c>name[@version]</c> of a dataset on whose validation rows it is compared with its source.</summary>
    /// <value>The default is the one that an adapter was trained on; for others, greetings.</value>
    public string? Dataset { get; init; }
    /// <summary>The first so many of them.</summary>
    /// <value>The default is 64.</value>
    public int? Rows { get; init; }
    /// <summary><c>name[@version]</c> of a dataset from whose training rows an importance matrix is computed.</summary>
    /// <value>The default is none: all columns of a matrix count alike.</value>
    public string? Importance { get; init; }
    /// <summary>The first so many of them.</summary>
    /// <value>The default is 256.</value>
    public int? ImportanceRows { get; init; }
    /// <value>The default is normal.</value>
    public JobPriority Priority { get; set; } = JobPriority.Normal;
}

/// <summary>Result of a <c>quantization</c> job.</summary>
public sealed record QuantizationResult
{
    /// <summary>In the order that was asked for.</summary>
    public required IReadOnlyList<QuantizedFile> Artifacts { get; init; }
    /// <summary>Types that could not be made.</summary>
    public IReadOnlyList<FailedQuantization> Failed { get; set; } = [];
    /// <summary>Null where the source is a GGUF file, which the trainer does not read.</summary>
    public ParityReport? Parity { get; init; }
}

/// <summary>A signed artifact, and how far it is from its source.</summary>
public sealed record QuantizedFile
{
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; init; }
    public required string Type { get; init; }
    /// <summary>Bytes of the GGUF file.</summary>
    public required long Size { get; init; }
    /// <summary>Of all tensors, fallbacks and those that are never quantized included.</summary>
    public required double BitsPerWeight { get; init; }
    /// <summary>Tensors whose rows the type cannot hold.</summary>
    public IReadOnlyList<TensorFallback> Fallbacks { get; set; } = [];
    public QualityComparison? Quality { get; init; }
    public MeasuredSpeed? Speed { get; init; }
}

/// <param name="Error">Stable name of the cause.</param>
public sealed record FailedQuantization(string Type, string Error, string Message);

/// <param name="Type">What it became, by ggml's name.</param>
public sealed record TensorFallback(string Tensor, string WantedType, string Type);

/// <summary>The quantized model and its source over the same texts, at every position; both computed by llama.cpp.</summary>
public sealed record QualityComparison
{
    public required int Texts { get; init; }
    public required long Tokens { get; init; }
    public required double SourcePerplexity { get; init; }
    public required double Perplexity { get; init; }
    /// <summary>Mean Kullback–Leibler divergence from the source, nats per token.</summary>
    public required double KlDivergence { get; init; }
    /// <summary>Below it are 99 of 100 positions.</summary>
    public required double KlDivergenceP99 { get; init; }
    public required double KlDivergenceMax { get; init; }
    /// <summary>Share of positions at which both choose the same token.</summary>
    public required double TopOneAgreement { get; init; }
}

/// <summary>Of one sequence, in the worker that quantized it.</summary>
/// <param name="PromptTokens">Length of the prompt.</param>
/// <param name="Threads">That computed.</param>
public sealed record MeasuredSpeed(double PromptTokensPerSecond, double DecodeTokensPerSecond, int PromptTokens, int Threads);

/// <summary>The same prompts through the trainer (fp32, the adapter beside its base) and llama.cpp with the merged, unquantized GGUF.</summary>
public sealed record ParityReport
{
    public required int Prompts { get; init; }
    public required int Tokens { get; init; }
    /// <summary>Largest absolute difference of a logit; at most <see cref="Tolerance"/>.</summary>
    public required double MaxLogitDifference { get; init; }
    public required double Tolerance { get; init; }
    /// <summary>Share of positions at which both choose the same token.</summary>
    public required double TokenAgreement { get; init; }
}

// --- evaluation

/// <summary>Measures a model or an adapter on a dataset.</summary>
public sealed record CreateEvaluation
{
    /// <summary><c>name[@version]</c> of a model, or of an adapter, which is evaluated with its base.</summary>
    public required string Artifact { get; init; }
    /// <summary><c>name[@version]</c> of a dataset.</summary>
    public required string Dataset { get; init; }
    /// <summary>train, validation or test.</summary>
    /// <value>The default is test.</value>
    public string Split { get; set; } = "test";
    /// <summary><c>name[@version]</c> of a model or an adapter to compare with.</summary>
    /// <value>The default is the base of an adapter, and nothing for a model.</value>
    public string? Against { get; init; }
    /// <summary>By name, of plugins with their options: <c>name(option=2)</c>.</summary>
    /// <value>The default is what fits the rows.</value>
    public IReadOnlyList<string> Metrics { get; set; } = [];
    /// <summary>The first so many rows of the split.</summary>
    /// <value>The default is all.</value>
    public int? Rows { get; init; }
    /// <summary>Tokens that an answer has at most.</summary>
    /// <value>The default is 256.</value>
    public int? MaxTokens { get; init; }
    /// <summary>Of the bootstrap.</summary>
    public int Seed { get; init; }
    /// <summary>Name of the evaluation artifact made.</summary>
    /// <value>The default is the artifact's name with <c>-eval</c> behind it.</value>
    public string? Name { get; init; }
    /// <value>The default is normal.</value>
    public JobPriority Priority { get; set; } = JobPriority.Normal;
}

/// <summary>Result of an <c>evaluation</c> job.</summary>
public sealed record EvaluationResult
{
    /// <summary>The signed evaluation, <c>name@version</c>.</summary>
    public required string Artifact { get; init; }
    public required string Candidate { get; init; }
    /// <summary>What it is compared with; null: nothing.</summary>
    public string? Base { get; init; }
    public required string Dataset { get; init; }
    public required string Split { get; init; }
    public required long Rows { get; init; }
    /// <summary>Rows without an answer to compare with.</summary>
    public required long SkippedRows { get; init; }
    public required IReadOnlyList<EvaluatedMetric> Metrics { get; init; }
    /// <summary>Path and version of the Delta table that has what was measured in each row.</summary>
    public required string Table { get; init; }
    public required double Seconds { get; init; }
}

/// <param name="Base">Of what it is compared with.</param>
/// <param name="Difference">Candidate − base, on the rows that both were measured in.</param>
public sealed record EvaluatedMetric(string Name, MetricEstimate Candidate, MetricEstimate? Base = null, MetricEstimate? Difference = null);

/// <summary>A metric over rows, with its 95 % bootstrap interval.</summary>
/// <param name="Rows">Rows that it could be measured in.</param>
public sealed record MetricEstimate(double Value, double Low, double High, int Rows);

// --- deployments

/// <summary>What a deployment shall be, all of it: what another of the same name had and this has not is gone.</summary>
public sealed record CreateDeployment
{
    /// <summary>The model id that <c>/v1/models</c> lists.</summary>
    public required string Name { get; init; }
    /// <summary><c>name[@version]</c> of a gguf artifact.</summary>
    public required string Artifact { get; init; }
    /// <summary>Worker processes in which it is loaded, at most <c>workers:inference:max</c>; null: 1.</summary>
    public int? Replicas { get; init; }
    /// <summary>Tokens of prompt and answer of a request; null: what the model was trained for, at most 4096.</summary>
    public int? ContextSize { get; init; }
    /// <summary>Requests decoded together; null: 4.</summary>
    public int? Slots { get; init; }
    /// <summary>Requests that may wait for a slot; one more is told to try later. Null: 64.</summary>
    public int? QueueLength { get; init; }
    /// <summary>Seconds without a request after which the weights leave memory, until the next one; null: they leave only for lack of memory.</summary>
    public int? KeepAliveSeconds { get; init; }
    /// <summary>Adapter artifacts, <c>name[@version]</c>, by the name under which each is served: <c>formal</c> answers as <c>deployment:formal</c>.</summary>
    public IReadOnlyDictionary<string, string> Adapters { get; set; } = new Dictionary<string, string>();
}

public sealed record Deployment
{
    public required string Name { get; init; }
    public required string Artifact { get; init; }
    /// <summary>ready, loading or failed; ready as soon as one replica answers.</summary>
    public required string State { get; init; }
    /// <summary>Worker processes in which it is to be loaded.</summary>
    public int Replicas { get; set; } = 1;
    /// <summary>Those of them that answer now.</summary>
    public int ReadyReplicas { get; init; }
    public required int ContextSize { get; init; }
    public required int Slots { get; init; }
    /// <summary>Null: the engine's.</summary>
    public int? QueueLength { get; init; }
    public int? KeepAliveSeconds { get; init; }
    /// <summary>False: the weights of a replica left memory, and its next request waits until they are back.</summary>
    public bool InMemory { get; init; }
    /// <summary>Bytes of weights, caches and buffers of all replicas; 0 while it is not in memory.</summary>
    public long MemoryBytes { get; init; }
    /// <summary>What verifying and loading took, of the replica that took longest.</summary>
    public double? LoadSeconds { get; init; }
    public IReadOnlyList<DeployedAdapter> Adapters { get; init; } = [];
    public required DateTimeOffset CreatedAt { get; init; }
    public string? Error { get; init; }
}

public sealed record AddAdapter
{
    /// <summary><c>name[@version]</c> of an adapter artifact.</summary>
    public required string Artifact { get; init; }
}

/// <summary>An adapter that a deployment serves.</summary>
/// <param name="Name">Within the deployment.</param>
/// <param name="Model">The model id that clients use.</param>
/// <param name="Artifact"><c>name@version</c></param>
public sealed record DeployedAdapter(string Name, string Model, string Artifact, DateTimeOffset CreatedAt);

// --- workers

[JsonConverter(typeof(JsonStringEnumConverter<WorkerState>))]
public enum WorkerState
{
    [JsonStringEnumMemberName("starting")] Starting,
    [JsonStringEnumMemberName("ready")] Ready,
    [JsonStringEnumMemberName("stopping")] Stopping,
    /// <summary>It died, and the pause before the next start is not over.</summary>
    [JsonStringEnumMemberName("waiting")] Waiting,
}

/// <summary>A worker process of the server that answers.</summary>
public sealed record Worker
{
    /// <summary><c>data</c>, <c>training</c>, <c>quantization</c>, <c>evaluation</c> or <c>inference</c>.</summary>
    public required string Role { get; init; }
    public required WorkerState State { get; init; }
    /// <summary>Null while none runs.</summary>
    public int? ProcessId { get; init; }
    /// <summary>Physical memory in bytes.</summary>
    public long Memory { get; init; }
    /// <summary>Use of processors over the last second; 100 is one core.</summary>
    public double CpuPercent { get; init; }
    /// <summary>Activities or generations that it runs.</summary>
    public int Tasks { get; init; }
    /// <summary>Threads for arithmetic.</summary>
    public int Threads { get; init; }
    /// <summary>How often a process of the role died since the server's start.</summary>
    public int Restarts { get; init; }
    /// <summary>When the state began.</summary>
    public required DateTimeOffset Since { get; init; }
    /// <summary>How the role's last process that died ended.</summary>
    public string? Error { get; init; }
}

// --- health

/// <param name="Status">ready or starting.</param>
/// <param name="NotReady">The parts that are not ready yet.</param>
public sealed record Readiness(string Status, IReadOnlyList<string> NotReady);
