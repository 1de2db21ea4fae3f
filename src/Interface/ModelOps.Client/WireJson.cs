using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Client;

/// <summary>Source-generated JSON of the wire types: the only serializer of them, in client and server.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Artifact))]
[JsonSerializable(typeof(Blob))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(CreateArtifact))]
[JsonSerializable(typeof(CreateDatasetVersion))]
[JsonSerializable(typeof(CreateDeployment))]
[JsonSerializable(typeof(CreateQuantization))]
[JsonSerializable(typeof(CreateTraining))]
[JsonSerializable(typeof(Dataset))]
[JsonSerializable(typeof(Deployment))]
[JsonSerializable(typeof(IngestionResult))]
[JsonSerializable(typeof(Job))]
[JsonSerializable(typeof(JobEvent))]
[JsonSerializable(typeof(LineageGraph))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(OpenAIErrorBody))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(JudgeArtifact))]
[JsonSerializable(typeof(MoveAlias))]
[JsonSerializable(typeof(Page<Alias>))]
[JsonSerializable(typeof(Page<AliasMove>))]
[JsonSerializable(typeof(Page<Approval>))]
[JsonSerializable(typeof(Page<Artifact>))]
[JsonSerializable(typeof(Page<Dataset>))]
[JsonSerializable(typeof(Page<Deployment>))]
[JsonSerializable(typeof(Page<Job>))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(PromoteArtifact))]
[JsonSerializable(typeof(QuantizationResult))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(RetentionRun))]
[JsonSerializable(typeof(RunRetention))]
[JsonSerializable(typeof(TrainingResult))]
[JsonSerializable(typeof(Verification))]
public sealed partial class WireJson : JsonSerializerContext;
