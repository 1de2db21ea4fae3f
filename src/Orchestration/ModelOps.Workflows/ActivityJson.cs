using System.Text.Json;
using System.Text.Json.Serialization;
using Temporalio.Converters;

namespace ModelOps.Workflows;

/// <summary>Everything that goes through histories and reports, snake_case, nulls left out.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(PinnedArtifact))]
[JsonSerializable(typeof(DatasetReference))]
[JsonSerializable(typeof(EvaluateModel))]
[JsonSerializable(typeof(EvaluatedModel))]
[JsonSerializable(typeof(IngestDataset))]
[JsonSerializable(typeof(IngestedDataset))]
[JsonSerializable(typeof(QuantizeModel))]
[JsonSerializable(typeof(QuantizedModel))]
[JsonSerializable(typeof(RecordDatasetVersion))]
[JsonSerializable(typeof(RegisterArtifact))]
[JsonSerializable(typeof(ResolveArtifact))]
[JsonSerializable(typeof(ResolveDataset))]
[JsonSerializable(typeof(ResolvedArtifact))]
[JsonSerializable(typeof(ResolvedDataset))]
[JsonSerializable(typeof(TrainAdapter))]
[JsonSerializable(typeof(TrainedAdapter))]
[JsonSerializable(typeof(PlannedTraining))]
[JsonSerializable(typeof(StoreTrainingResults))]
[JsonSerializable(typeof(DeployModel))]
[JsonSerializable(typeof(DeployedModel))]
[JsonSerializable(typeof(FineTuningInput))]
[JsonSerializable(typeof(FineTuningOutput))]
[JsonSerializable(typeof(DatasetIngestionInput))]
[JsonSerializable(typeof(DatasetIngestionOutput))]
[JsonSerializable(typeof(SftTrainingInput))]
[JsonSerializable(typeof(SftTrainingOutput))]
[JsonSerializable(typeof(QuantizationInput))]
[JsonSerializable(typeof(QuantizationOutput))]
[JsonSerializable(typeof(EvaluationInput))]
[JsonSerializable(typeof(EvaluationOutput))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(JobRun))]
[JsonSerializable(typeof(JobChange))]
[JsonSerializable(typeof(JobChanged))]
[JsonSerializable(typeof(JobPosition))]
[JsonSerializable(typeof(JobReport))]
[JsonSerializable(typeof(IReadOnlyList<MetricPoint>))]
[JsonSerializable(typeof(WorkerSettings))]
[JsonSerializable(typeof(IReadOnlyList<SpanRecord>))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(string))]
public sealed partial class ActivityJson : JsonSerializerContext;

/// <summary>How values stand in histories, for the clients and workers of both sides: what one writes, the other must read.</summary>
public static class HistoryData
{
    public static DataConverter Converter { get; } = new(new DefaultPayloadConverter(ActivityJson.Default.Options), new DefaultFailureConverter());
}
