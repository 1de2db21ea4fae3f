using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Server.FineTuning;

// The shapes of fine-tuning in OpenAI's API description (openai/openai-openapi), as far as they are offered.

public sealed record CreateFineTuningJob
{
    /// <summary><c>name[@version]</c> of an imported model.</summary>
    public required string Model { get; init; }
    public required string TrainingFile { get; init; }
    public string? ValidationFile { get; init; }
    public string? Suffix { get; init; }
    public long? Seed { get; init; }
    public FineTuningMethod? Method { get; init; }

    /// <summary>The older place of <c>method.supervised.hyperparameters</c>.</summary>
    public FineTuningHyperparameters? Hyperparameters { get; init; }
    public IReadOnlyList<JsonElement>? Integrations { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>What this server does not know; it is refused by name.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; }
}

public sealed record FineTuningMethod
{
    /// <summary><c>supervised</c>.</summary>
    public required string Type { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SupervisedMethod? Supervised { get; init; }

    /// <summary>What this server does not know; it is refused by name.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; }
}

public sealed record SupervisedMethod
{
    public FineTuningHyperparameters? Hyperparameters { get; init; }

    /// <summary>What this server does not know; it is refused by name.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; }
}

/// <summary>Each a number or <c>auto</c>.</summary>
public sealed record FineTuningHyperparameters
{
    public JsonElement? NEpochs { get; init; }
    public JsonElement? BatchSize { get; init; }
    public JsonElement? LearningRateMultiplier { get; init; }

    /// <summary>What this server does not know; it is refused by name.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; }
}

public sealed record FineTuningJobObject
{
    public string Object { get; } = "fine_tuning.job";
    public required string Id { get; init; }
    public required long CreatedAt { get; init; }
    public required FineTuningError? Error { get; init; }
    public required string? FineTunedModel { get; init; }
    public required long? FinishedAt { get; init; }
    public required FineTuningHyperparameters Hyperparameters { get; init; }
    public required string Model { get; init; }
    public required string OrganizationId { get; init; }
    public required IReadOnlyList<string> ResultFiles { get; init; }

    /// <summary>validating_files, queued, running, paused, succeeded, failed or cancelled.</summary>
    public required string Status { get; init; }
    public required long? TrainedTokens { get; init; }
    public required string TrainingFile { get; init; }
    public required string? ValidationFile { get; init; }
    public IReadOnlyList<JsonElement> Integrations { get; } = [];
    public required int Seed { get; init; }
    public required long? EstimatedFinish { get; init; }
    public required FineTuningMethod Method { get; init; }
    public required IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <param name="Param">Where the fault lies, if it lies in a file.</param>
public sealed record FineTuningError(string Code, string Message, string? Param);

public sealed record FineTuningJobList(string Object, IReadOnlyList<FineTuningJobObject> Data, bool HasMore);

/// <param name="Type">message, or metrics with numbers in <paramref name="Data"/>.</param>
public sealed record FineTuningEvent(
    string Object, string Id, long CreatedAt, string Level, string Message, string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, double>? Data);

public sealed record FineTuningEventList(string Object, IReadOnlyList<FineTuningEvent> Data, bool HasMore);

/// <param name="FineTunedModelCheckpoint">The fine-tuned model for the last step; an earlier one is what the job can go on from, and is not served.</param>
public sealed record FineTuningCheckpoint(
    string Object, string Id, long CreatedAt, string FineTunedModelCheckpoint, long StepNumber, FineTuningCheckpointMetrics Metrics, string FineTuningJobId);

/// <param name="TrainLoss">Nats per learned token, as <paramref name="FullValidLoss"/>.</param>
public sealed record FineTuningCheckpointMetrics(
    long Step,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? TrainLoss,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? FullValidLoss);

public sealed record FineTuningCheckpointList(string Object, IReadOnlyList<FineTuningCheckpoint> Data, string? FirstId, string? LastId, bool HasMore);
