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
[JsonSerializable(typeof(LineageNode))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(OpenAIErrorBody))]
[JsonSerializable(typeof(Page<Artifact>))]
[JsonSerializable(typeof(Page<Dataset>))]
[JsonSerializable(typeof(Page<Deployment>))]
[JsonSerializable(typeof(Page<Job>))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(QuantizationResult))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(TrainingResult))]
[JsonSerializable(typeof(Verification))]
[JsonSerializable(typeof(ImportArtifact))]
[JsonSerializable(typeof(ImportResult))]
[JsonSerializable(typeof(PackagedArtifact))]
[JsonSerializable(typeof(Page<SigningKeyInfo>))]
[JsonSerializable(typeof(RevocationReason))]
[JsonSerializable(typeof(TrustSigningKey))]
public sealed partial class WireJson : JsonSerializerContext;
