using System.Globalization;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Server.OpenAI;
using ModelOps.Workflows;

namespace ModelOps.Server.FineTuning;

/// <summary>Jobs, their events and checkpoints in OpenAI's words.</summary>
internal static class FineTuningViews
{
    public static FineTuningJobObject Of(Job job, DateTimeOffset now)
    {
        var (input, result) = (FineTuningJobs.InputOf(job), ResultOf(job));
        var method = input.Method.Deserialize(OpenAIJson.Default.FineTuningMethod)!;
        var hyperparameters = Resolved(method.Supervised!.Hyperparameters!, result);
        return new()
        {
            Id = FineTuningIds.OfJob(job.Id),
            CreatedAt = job.CreatedAt.ToUnixTimeSeconds(),
            Error = job.Error is null ? null : ErrorOf(job.Error),
            FineTunedModel = result?.Model,
            FinishedAt = job.FinishedAt?.ToUnixTimeSeconds(),
            Hyperparameters = hyperparameters,
            Model = input.Model,
            OrganizationId = input.Organization,
            ResultFiles = result is null ? [] : [result.ResultFile],
            Status = StatusOf(job),
            TrainedTokens = result?.Training.Tokens,
            TrainingFile = input.TrainingFile.Id,
            ValidationFile = input.ValidationFile?.Id,
            Seed = input.Seed,
            EstimatedFinish = job is { State: JobState.Running, Progress.EtaSeconds: { } left } ? now.AddSeconds(left).ToUnixTimeSeconds() : null,
            Method = method with { Supervised = new() { Hyperparameters = hyperparameters } },
            Metadata = input.Metadata,
        };
    }

    public static FineTuningEvent Of(Job job, JobEvent told)
    {
        var metrics = told.Message is null && !told.State.IsFinal && told.Progress is { } progress ? MetricsOf(progress) : null;
        return new(
            "fine_tuning.job.event",
            FineTuningIds.OfEvent(job.Id, told.Sequence),
            told.At.ToUnixTimeSeconds(),
            told.State == JobState.Failed ? "error" : "info",
            TextOf(job, told),
            metrics is null ? "message" : "metrics",
            metrics);
    }

    /// <summary>The one that is left of a job that succeeded: its model.</summary>
    /// <param name="loss">Of its last step; null: not known.</param>
    public static FineTuningCheckpoint? Last(Job job, double? loss) => ResultOf(job) is not { } result ? null : Checkpoint(
        job, job.FinishedAt!.Value, result.Model, result.Training.Steps,
        new(result.Training.Steps, loss, result.Training.EvaluatedOn == "validation" ? result.Training.LossAfter : null));

    public static FineTuningCheckpoint Of(Job job, JobCheckpoint kept)
    {
        var input = FineTuningJobs.InputOf(job);
        var model = FineTunedModel.Of(input.Base.Split('@')[0], input.Organization, input.Suffix, job.Id);
        return Checkpoint(
            job, kept.StoredAt, string.Create(CultureInfo.InvariantCulture, $"{model}:ckpt-step-{kept.Step}"), kept.Step,
            new(kept.Step, kept.Loss, input.ValidationFile is null ? null : kept.ValidationLoss));
    }

    public static long? LastStepOf(Job job) => ResultOf(job)?.Training.Steps;

    private static FineTuningCheckpoint Checkpoint(Job job, DateTimeOffset at, string model, long step, FineTuningCheckpointMetrics metrics) => new(
        "fine_tuning.job.checkpoint", FineTuningIds.OfCheckpoint(job.Id, step), at.ToUnixTimeSeconds(), model, step, metrics, FineTuningIds.OfJob(job.Id));

    private static FineTuningResult? ResultOf(Job job) => job.Result?.Deserialize(WireJson.Default.FineTuningResult);

    /// <summary>What auto became, once that is known.</summary>
    private static FineTuningHyperparameters Resolved(FineTuningHyperparameters asked, FineTuningResult? result)
    {
        if (result is null) return asked;
        return new()
        {
            NEpochs = result.Recipe.GetProperty("epochs"),
            BatchSize = result.Recipe.GetProperty("batch_size"),
            LearningRateMultiplier = asked.LearningRateMultiplier is { ValueKind: JsonValueKind.Number } given ? given : JsonElement.Parse("1"),
        };
    }

    private static string StatusOf(Job job) => job.State switch
    {
        JobState.Running when job.Step is null || job.Step == Activities.IngestDataset.Name => "validating_files",
        JobState.Canceled => "cancelled",
        var state => $"{state}".ToLowerInvariant(),
    };

    private static FineTuningError ErrorOf(JobError error) => error.Type == ActivityFailures.InvalidRows
        ? new("invalid_training_file", error.Message, "training_file")
        : new(error.Type, error.Message, Param: null);

    private static string TextOf(Job job, JobEvent told) => told switch
    {
        { Message: { } message } => message,
        { Sequence: 1 } => $"Created fine-tuning job: {FineTuningIds.OfJob(job.Id)}",
        { State: JobState.Succeeded } => "The job has successfully completed",
        { State: JobState.Running, Progress: { } progress } => Text(progress),
        _ => $"Fine-tuning job is {(told.State == JobState.Canceled ? "cancelled" : $"{told.State}".ToLowerInvariant())}",
    };

    private static string Text(JobProgress progress) => string.Create(
        CultureInfo.InvariantCulture,
        $"{progress.Stage}{(progress.Total is { } total ? $" {progress.Step}/{total}" : "")}{(progress.Metrics.TryGetValue("loss", out var loss) ? $": loss={loss:0.####}" : "")}");

    private static Dictionary<string, double>? MetricsOf(JobProgress progress)
    {
        if (!progress.Metrics.ContainsKey("loss") && !progress.Metrics.ContainsKey("validation_loss")) return null;
        var data = new Dictionary<string, double>(StringComparer.Ordinal) { ["step"] = progress.Step };
        if (progress.Total is { } total) data["total_steps"] = total;
        foreach (var (name, value) in progress.Metrics) data[name switch { "loss" => "train_loss", "validation_loss" => "full_valid_loss", _ => name }] = value;
        return data;
    }
}
