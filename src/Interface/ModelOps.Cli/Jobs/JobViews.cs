using System.Text.Json;
using ModelOps.Cli.Datasets;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Jobs;

/// <summary>Jobs and what they made, for people.</summary>
internal static class JobViews
{
    public static void List(Invocation invocation, IReadOnlyList<Job> jobs)
    {
        if (jobs.Count == 0)
        {
            invocation.Screen.WriteLine("No job.");
            return;
        }
        var table = invocation.Table("job", "kind", "state", "priority", "stage", "by", "created", "took");
        foreach (var job in jobs)
        {
            table.AddTextRow(
                job.Id, job.Kind, NameOf(job.State), NameOf(job.Priority), StageOf(job), job.CreatedBy ?? "", Human.Time(job.CreatedAt),
                job is { StartedAt: { } start, FinishedAt: { } end } ? Human.Duration(end - start) : "");
        }
        invocation.Screen.Write(table);
    }

    public static void Show(Invocation invocation, Job job)
    {
        var screen = invocation.Screen;
        screen.WriteLine($"{job.Id}  {job.Kind}  {NameOf(job.State)}  {StageOf(job)}");
        screen.WriteLine($"priority  {NameOf(job.Priority)}");
        screen.WriteLine($"created   {Human.Time(job.CreatedAt)}");
        if (job.StartedAt is { } started)
        {
            screen.WriteLine($"started   {Human.Time(started)}");
        }
        if (job.FinishedAt is { } finished)
        {
            screen.WriteLine($"finished  {Human.Time(finished)}");
        }
        foreach (var property in job.Input.EnumerateObject())
        {
            screen.WriteLine($"input     {property.Name} = {property.Value}");
        }
        foreach (var kept in job.Checkpoints ?? [])
        {
            screen.WriteLine($"kept      checkpoint after step {kept.Step}, {Human.Bytes(kept.Size)}, {Human.Time(kept.StoredAt)}{LossOf(kept)}");
        }
        if (job.Error is { } error)
        {
            screen.WriteLine($"error     {error.Type}: {error.Message}");
        }
        ShowResult(invocation, job);
    }

    public static void Show(Invocation invocation, IReadOnlyList<JobSample> samples)
    {
        if (samples.Count == 0)
        {
            invocation.Screen.WriteLine("No sample: the recipe asks for none, or nothing was measured yet.");
            return;
        }
        foreach (var step in samples.GroupBy(sample => sample.Step))
        {
            invocation.Screen.WriteLine(step.Key == 0 ? "before training" : $"after step {step.Key}");
            foreach (var sample in step)
            {
                invocation.Screen.WriteLine($"  {sample.Number}. {Human.WithoutControls(sample.Prompt)}");
                invocation.Screen.WriteLine($"     {Human.WithoutControls(sample.Text)}{(sample.Complete ? "" : "…")}");
            }
        }
    }

    /// <summary>What a succeeded job made; nothing for another.</summary>
    public static void ShowResult(Invocation invocation, Job job)
    {
        if (job.Result is not { } result)
        {
            return;
        }
        if (job.Kind == "quantization")
        {
            QuantizationView.Show(invocation, result.Deserialize(WireJson.Default.QuantizationResult)!);
            return;
        }
        foreach (var line in LinesOf(job.Kind, result))
        {
            invocation.Screen.WriteLine(line);
        }
    }

    private static IEnumerable<string> LinesOf(string kind, JsonElement result) => kind switch
    {
        "ingestion" => Lines(result.Deserialize(WireJson.Default.IngestionResult)!),
        "sft" or "pretraining" => Lines(result.Deserialize(WireJson.Default.TrainingResult)!),
        "training_plan" => Lines(result.Deserialize(WireJson.Default.TrainingPlan)!),
        "evaluation" => Lines(result.Deserialize(WireJson.Default.EvaluationResult)!),
        "fine_tuning" => Lines(result.Deserialize(WireJson.Default.FineTuningResult)!),
        _ => result.EnumerateObject().Select(property => $"{property.Name} = {property.Value}"), // of a newer server
    };

    private static IEnumerable<string> Lines(IngestionResult result) =>
        IngestionView.Lines(result.Report).Prepend($"{result.Artifact}: {Human.Counts(result.Report.Splits)} rows for {result.Report.Task}");

    private static IEnumerable<string> Lines(TrainingResult result) =>
    [
        $"{result.Artifact}: validation loss {result.LossBefore:0.000} -> {result.LossAfter:0.000} nats/token",
        $"{result.Steps} steps, {result.Tokens} tokens, {Human.Duration(TimeSpan.FromSeconds(result.Seconds))}",
        .. result.TruncatedRows > 0 ? [$"{result.TruncatedRows} training rows lost their end to the sequence length"] : (string[])[],
        .. result.SkippedRows > 0 ? [$"{result.SkippedRows} training rows had nothing to learn from"] : (string[])[],
        $"Next: modelops quantize {result.Artifact} --type Q8_0 --name NAME",
    ];

    private static IEnumerable<string> Lines(FineTuningResult result) =>
    [
        $"{result.Model} is served",
        .. result.Artifacts.Select(made => $"{made.Role}: {made.Artifact}"),
        $"{(result.Training.EvaluatedOn == "validation" ? "validation loss" : "loss on training rows")} {result.Training.LossBefore:0.000} -> {result.Training.LossAfter:0.000} nats/token, {result.Training.Steps} steps, {result.Training.Tokens} tokens",
        $"Next: modelops chat {result.Model}",
    ];

    private static IEnumerable<string> Lines(TrainingPlan plan) =>
    [
        $"{plan.TrainRows.Used} training rows of {plan.Tokens} tokens in {plan.PackedRows} packed rows, {plan.ValidationRows.Used} validation rows",
        .. plan.Recipe.EnumerateObject().Select(key => $"  {key.Name}: {key.Value}"),
        .. plan.Advice.Select(advice => $"Note: {advice}"),
        $"Memory: about {Human.Bytes(plan.MemoryNeeded)} of {Human.Bytes(plan.MemoryAvailable)} free on {plan.Worker}",
        .. plan.Memory.Select(part => $"  {part.Part}: {Human.Bytes(part.Bytes)}"),
        .. FitOf(plan),
        .. plan.Time is { } time ? [Line(time)] : (string[])[],
    ];

    private static string Line(PlannedTime time) =>
        $"Time: about {Human.About(time.Seconds)}, likely from {Human.About(time.Low)} to {Human.About(time.High)}, for {time.Tokens} tokens to learn from and {time.MeasuredTokens} to measure on; "
        + (time.Job is { } job ? $"as fast as {job}, of the same base and method" : "by the base's arithmetic and the machine's speed");

    private static IEnumerable<string> FitOf(TrainingPlan plan) =>
        plan.MemoryNeeded <= plan.MemoryAvailable ? []
        : plan.WouldFit.Count == 0 ? ["It does not fit, and nothing that a recipe can change would make it: take a smaller base or a machine with more memory"]
        : plan.WouldFit.Select(change => $"It does not fit; this would: {change.Change} ({Human.Bytes(change.Bytes)})");

    private static IEnumerable<string> Lines(EvaluationResult result) =>
    [
        $"{result.Artifact}: {result.Candidate}{(result.Base is null ? "" : $" against {result.Base}")} on {result.Rows} rows of {result.Dataset}/{result.Split}",
        .. result.Metrics.Select(metric =>
            $"{metric.Name}: {Estimate(metric.Candidate)}"
            + (metric.Base is null ? "" : $"; base {Estimate(metric.Base)}")
            + (metric.Difference is null ? "" : $"; difference {Estimate(metric.Difference)}")),
        $"Rows: {result.Table}",
    ];

    private static string Estimate(MetricEstimate estimate) => $"{estimate.Value:0.0000} [{estimate.Low:0.0000}, {estimate.High:0.0000}]";

    private static string LossOf(JobCheckpoint kept) =>
        kept.ValidationLoss is { } validation ? $", validation loss {validation:0.000}{(kept.Best ? ", the best" : "")}"
        : kept.Loss is { } loss ? $", loss {loss:0.000}"
        : "";

    /// <summary>As the wire has it.</summary>
    public static string NameOf<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static string StageOf(Job job) => job.Progress is { } made && !job.State.IsFinal
        ? made.Total is { } total ? $"{made.Stage} {made.Step}/{total}" : made.Stage
        : "";
}
