using System.Text.Json;
using ModelOps.Client;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>The kinds of job: each is a workflow, and its output in the wire's words.</summary>
public static class JobKinds
{
    public const string Ingestion = "ingestion";
    public const string Sft = "sft";
    public const string Quantize = "quantization";

    public static IReadOnlyList<JobKind> All { get; } =
    [
        new(Ingestion, WorkerRole.Data, async (input, activities, cancellationToken) => JsonSerializer.SerializeToElement(
            ToWire(await DatasetIngestionWorkflow.RunAsync(input.Deserialize(ActivityJson.Default.DatasetIngestionInput)!, activities, cancellationToken)),
            WireJson.Default.IngestionResult)),
        new(Sft, WorkerRole.Training, async (input, activities, cancellationToken) => JsonSerializer.SerializeToElement(
            ToWire(await SftTrainingWorkflow.RunAsync(input.Deserialize(ActivityJson.Default.SftTrainingInput)!, activities, cancellationToken)),
            WireJson.Default.TrainingResult)),
        new(Quantize, WorkerRole.Quantization, async (input, activities, cancellationToken) =>
        {
            var quantization = input.Deserialize(ActivityJson.Default.QuantizationInput)!;
            var output = await QuantizationWorkflow.RunAsync(quantization, activities, cancellationToken);
            return JsonSerializer.SerializeToElement(ToWire(quantization, output), WireJson.Default.QuantizationResult);
        }),
    ];

    private static IngestionResult ToWire(DatasetIngestionOutput output) => new()
    {
        Dataset = output.Dataset.Name,
        Version = output.Dataset.Version,
        Artifact = output.Dataset.Artifact.ToString(),
        Report = output.Ingested.Report.Deserialize(WireJson.Default.IngestionReport)!,
    };

    private static TrainingResult ToWire(SftTrainingOutput output) => new()
    {
        Artifact = output.Artifact.ToString(),
        Steps = output.Trained.Steps,
        Tokens = output.Trained.Tokens,
        LossBefore = output.Trained.LossBefore,
        LossAfter = output.Trained.LossAfter,
        EvaluatedOn = output.Trained.EvaluatedOn,
        TruncatedRows = output.Trained.TruncatedRows,
        SkippedRows = output.Trained.SkippedRows,
        Seconds = output.Trained.Seconds,
    };

    private static QuantizationResult ToWire(QuantizationInput input, QuantizationOutput output) => new()
    {
        Artifact = output.Artifact.ToString(),
        Type = input.Type,
        Size = output.Quantized.Size,
        BitsPerWeight = output.Quantized.BitsPerWeight,
        Parity = new ParityReport
        {
            Prompts = output.Quantized.Parity.Prompts,
            Tokens = output.Quantized.Parity.Tokens,
            MaxLogitDifference = output.Quantized.Parity.MaxLogitDifference,
            Tolerance = output.Quantized.Parity.Tolerance,
            QuantizedTopOneAgreement = output.Quantized.Parity.QuantizedTopOneAgreement,
            QuantizedKlDivergence = output.Quantized.Parity.QuantizedKlDivergence,
        },
    };
}
