using System.Text.Json;
using ModelOps.Client;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>A kind of job: the workflow that does it, and its output in the wire's words.</summary>
/// <param name="Role">The role whose workers do most of it.</param>
/// <param name="Workflow">Name of the workflow's type.</param>
/// <param name="ToWire">From the job's input and the workflow's output.</param>
public sealed record JobKind(string Name, WorkerRole Role, string Workflow, Func<JsonElement, JsonElement, JsonElement> ToWire);

public static class JobKinds
{
    public const string Ingestion = "ingestion";
    public const string Sft = "sft";
    public const string Pretraining = "pretraining";
    public const string TrainingPlan = "training_plan";
    public const string Quantize = "quantization";
    public const string Evaluate = "evaluation";

    private static readonly Dictionary<string, JobKind> kinds = new JobKind[]
    {
        new(Ingestion, WorkerRole.Data, "DatasetIngestion", (_, output) => JsonSerializer.SerializeToElement(
            ToWire(output.Deserialize(ActivityJson.Default.DatasetIngestionOutput)!), WireJson.Default.IngestionResult)),
        Training(Sft),
        Training(Pretraining),
        new(TrainingPlan, WorkerRole.Training, "TrainingPlan", (_, output) => JsonSerializer.SerializeToElement(
            ToWire(output.Deserialize(ActivityJson.Default.PlannedTraining)!), WireJson.Default.TrainingPlan)),
        new(Quantize, WorkerRole.Quantization, "Quantization", (_, output) => JsonSerializer.SerializeToElement(
            QuantizationViews.ToWire(output.Deserialize(ActivityJson.Default.QuantizationOutput)!), WireJson.Default.QuantizationResult)),
        new(Evaluate, WorkerRole.Evaluation, "Evaluation", (input, output) => JsonSerializer.SerializeToElement(
            ToWire(input.Deserialize(ActivityJson.Default.EvaluationInput)!, output.Deserialize(ActivityJson.Default.EvaluationOutput)!),
            WireJson.Default.EvaluationResult)),
    }.ToDictionary(kind => kind.Name, StringComparer.Ordinal);

    public static IReadOnlyCollection<string> Names => kinds.Keys;

    public static JobKind Of(string name) => kinds[name];

    private static JobKind Training(string name) => new(name, WorkerRole.Training, "SftTraining", (_, output) => JsonSerializer.SerializeToElement(
        ToWire(output.Deserialize(ActivityJson.Default.SftTrainingOutput)!), WireJson.Default.TrainingResult));

    private static TrainingPlan ToWire(PlannedTraining output)
    {
        var plan = output.Plan.Deserialize(WireJson.Default.TrainingPlan)!;
        plan.Worker = output.Worker;
        return plan;
    }

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

    private static EvaluationResult ToWire(EvaluationInput input, EvaluationOutput output) => new()
    {
        Artifact = output.Artifact.ToString(),
        Candidate = output.Candidate.ToString(),
        Base = output.Base?.ToString(),
        Dataset = $"{output.Dataset.Name}@{output.Dataset.Version}",
        Split = input.Split,
        Rows = output.Evaluated.Rows,
        SkippedRows = output.Evaluated.SkippedRows,
        Metrics = output.Evaluated.Report.GetProperty("metrics").Deserialize(WireJson.Default.IReadOnlyListEvaluatedMetric)!,
        Table = $"{output.Evaluated.Table}@{output.Evaluated.TableVersion}",
        Seconds = output.Evaluated.Seconds,
    };
}
