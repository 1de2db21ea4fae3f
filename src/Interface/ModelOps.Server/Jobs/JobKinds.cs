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
    public const string FineTune = "fine_tuning";

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
        new(FineTune, WorkerRole.Training, "FineTuning", (_, output) => JsonSerializer.SerializeToElement(
            ToWire(output.Deserialize(ActivityJson.Default.FineTuningOutput)!), WireJson.Default.FineTuningResult)),
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

    private static TrainingResult ToWire(SftTrainingOutput output) => ToWire(output.Artifact, output.Trained) with { Recipe = output.Trained.Recipe };

    private static TrainingResult ToWire(PinnedArtifact artifact, TrainedAdapter trained) => new()
    {
        Artifact = artifact.ToString(),
        Steps = trained.Steps,
        Tokens = trained.Tokens,
        LossBefore = trained.LossBefore,
        LossAfter = trained.LossAfter,
        EvaluatedOn = trained.EvaluatedOn,
        TruncatedRows = trained.TruncatedRows,
        SkippedRows = trained.SkippedRows,
        Seconds = trained.Seconds,
    };

    private static FineTuningResult ToWire(FineTuningOutput output) => new()
    {
        Model = output.Model,
        Artifacts =
        [
            new("served", output.Served.ToString()),
            new("adapter", output.Adapter.ToString()),
            new("dataset", output.Dataset.ToString()),
            .. output.Validation is { } validation ? [new FineTunedArtifact("validation", validation.ToString())] : Array.Empty<FineTunedArtifact>(),
        ],
        ResultFile = output.Results.Id,
        Recipe = output.Trained.Recipe,
        Training = ToWire(output.Adapter, output.Trained),
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
