using System.Text.Json.Nodes;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Models;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>The steps, one after the other. The names of what is made come from the data file's name.</summary>
internal sealed class QuickstartRun(Invocation invocation, QuickstartRequest request, ModelOpsClient client, bool ownServer)
{
    private const int Questions = 3;
    private const int AnswerTokens = 64;
    private const int EvaluatedRows = 24;
    private const int CurveWidth = 16;
    private const string QuantizedType = "Q8_0";

    // Perplexity is the loss in other words; these two say how near the answers are.
    private static readonly string[] metrics = ["loss", "exact_match", "rouge_l"];

    private readonly QuickstartJobs jobs = new(client);
    private readonly QuickstartSteps steps = new(invocation, count: 9);

    /// <param name="baseModel">A folder, <c>hf:org/name</c>, or <c>name[@version]</c> of a model that the server has.</param>
    /// <exception cref="ModelOpsException">A step failed or was interrupted; what the steps before made is kept.</exception>
    public async Task<QuickstartReport> RunAsync(string baseModel, string dataFile, CancellationToken cancellationToken)
    {
        try
        {
            return await StepsAsync(baseModel, dataFile, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw CliProblems.Exception(
                CliProblems.Canceled, "Canceled",
                $"Canceled in step {steps.Now}. What was done is kept; this goes on from there: {request.Command}",
                jobs.LeftBehind is { } left ? [left] : null);
        }
    }

    private async Task<QuickstartReport> StepsAsync(string baseModel, string dataFile, CancellationToken cancellationToken)
    {
        var start = invocation.Host.Time.GetTimestamp();
        var name = ModelsCommand.NameOf(dataFile);

        var model = await steps.RunAsync(
            "Import the base", progress => ImportAsync(baseModel, progress, cancellationToken),
            artifact => $"{artifact.Reference}, {Human.Bytes(artifact.Size)}");
        var dataset = await steps.RunAsync(
            "Ingest the data", progress => IngestAsync(name, dataFile, progress, cancellationToken),
            version => $"{version.Artifact}, {Human.Counts(version.Rows)}, {version.RejectedRows} rejected");
        var training = new CreateTraining
        {
            Base = model.Result.Reference,
            Dataset = dataset.Result.Artifact,
            Name = $"{name}-lora",
            MaxSteps = request.MaxSteps,
        };
        var plan = await steps.RunAsync("Plan the training", progress => PlanAsync(training, progress, cancellationToken), Describe);
        if (plan.Result.IsBounded)
        {
            training = training with { MaxSteps = (int)plan.Result.Steps };
        }
        var trained = await steps.RunAsync(
            "Fine-tune with LoRA", progress => TrainAsync(training, progress, cancellationToken),
            made => $"{made.Result.Artifact}, validation loss {made.Result.LossBefore:0.000} -> {made.Result.LossAfter:0.000}  {made.Curve}");
        var adapter = trained.Result.Result.Artifact;
        var evaluation = await steps.RunAsync(
            "Evaluate", progress => EvaluateAsync(adapter, dataset.Result, progress, cancellationToken), Describe);
        var quantization = await steps.RunAsync(
            $"Quantize to {QuantizedType}",
            progress => QuantizeAsync(adapter, $"{name}-{ModelsCommand.NameOf(QuantizedType)}", progress, cancellationToken),
            result => $"{result.Artifacts[0].Artifact}, {Human.Bytes(result.Artifacts[0].Size)}, {result.Artifacts[0].BitsPerWeight:0.00} bits per weight");
        var quantized = quantization.Result.Artifacts[0].Artifact;
        var verification = await steps.RunAsync(
            "Verify the chain", _ => VerifyAsync(quantized, cancellationToken), verified => $"{verified.Checks.Count} checks passed");
        var deployment = await steps.RunAsync(
            "Deploy", _ => DeployAsync(quantized, name, cancellationToken), deployed => $"{deployed.Name}, {deployed.Slots} requests at a time");
        var chat = await steps.RunAsync(
            "Ask held-out rows", progress => AskAsync(deployment.Result.Name, name, dataset.Result, progress, cancellationToken),
            answers => answers.Count == 0 ? "no row of it begins with a short question" : $"{answers.Count} questions that it has not learned from");
        steps.Show(chat.Result);

        return new QuickstartReport
        {
            Server = client.Server.ToString(),
            ServerStopped = ownServer,
            Seconds = invocation.Host.Time.GetElapsedTime(start).TotalSeconds,
            Base = model,
            Dataset = dataset,
            Plan = plan,
            Training = new(trained.Seconds, trained.Reused, trained.Resumed, trained.Job, trained.Result.Result),
            Evaluation = evaluation,
            Quantization = quantization,
            Verification = verification,
            Deployment = deployment,
            Chat = chat,
            Lineage = await client.Artifacts.GetLineageAsync(quantized, cancellationToken: cancellationToken),
        };
    }

    private async Task<StepOutcome<Artifact>> ImportAsync(string baseModel, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var (model, reused) = await new QuickstartBase(invocation, client).GetAsync(baseModel, progress, cancellationToken);
        return new(model, reused);
    }

    private async Task<StepOutcome<DatasetVersion>> IngestAsync(
        string name, string dataFile, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        progress.Report(new ProgressUpdate("hashing", 0, null));
        var file = await LocalFiles.HashFileAsync(dataFile, cancellationToken);
        var datasets = await client.Datasets.ListAsync(cancellationToken);
        if (datasets.FirstOrDefault(dataset => dataset.Name == name)?.Versions.LastOrDefault(version => version.SourceSha256 == file.Sha256) is { } same)
        {
            return new(same, Reused: true);
        }
        var ingested = await jobs.RunAsync(
            "ingestion",
            input => input.GetProperty("dataset").GetString() == name && input.GetProperty("source").GetProperty("sha256").GetString() == file.Sha256,
            () => client.Datasets.CreateVersionAsync(name, dataFile, options: null, ArtifactPush.Bytes(progress), cancellationToken),
            WireJson.Default.IngestionResult, progress, cancellationToken);
        var versions = (await client.Datasets.GetAsync(name, version: null, cancellationToken)).Versions;
        return new(versions.Single(version => version.Version == ingested.Result.Version), Reused: false, ingested.Resumed, ingested.Job.Id);
    }

    private async Task<StepOutcome<QuickstartPlan>> PlanAsync(CreateTraining training, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var planned = await jobs.RunAsync(
            "training_plan", InputOf(training), () => client.Jobs.PlanTrainingAsync(training, cancellationToken),
            WireJson.Default.TrainingPlan, progress, cancellationToken);
        return StepOutcome.Of(planned, QuickstartPlan.Of(planned.Result, Environment.ProcessorCount, request.Unbounded || request.MaxSteps is not null));
    }

    private async Task<StepOutcome<Trained>> TrainAsync(CreateTraining training, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var trained = await jobs.RunAsync(
            "sft", InputOf(training), () => client.Jobs.StartTrainingAsync(training, cancellationToken),
            WireJson.Default.TrainingResult, progress, cancellationToken);
        var losses = await client.Jobs.GetMetricsAsync(trained.Job.Id, ["loss"], points: null, cancellationToken: cancellationToken);
        var curve = Sparkline.Of([.. losses.SelectMany(series => series.Points).Select(point => point.Value)], CurveWidth);
        return StepOutcome.Of(trained, new Trained(trained.Result, curve));
    }

    private async Task<StepOutcome<EvaluationResult>> EvaluateAsync(
        string adapter, DatasetVersion dataset, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var evaluation = new CreateEvaluation
        {
            Artifact = adapter,
            Dataset = dataset.Artifact,
            Split = HeldOutQuestions.SplitOf(dataset),
            Metrics = metrics,
            Rows = EvaluatedRows,
            MaxTokens = AnswerTokens,
            Name = $"{adapter[..adapter.IndexOf('@', StringComparison.Ordinal)]}-eval",
        };
        var asked = new JsonObject
        {
            ["artifact"] = evaluation.Artifact,
            ["dataset"] = evaluation.Dataset,
            ["split"] = evaluation.Split,
            ["metrics"] = new JsonArray([.. metrics.Select(metric => JsonValue.Create(metric))]),
            ["rows"] = evaluation.Rows,
            ["max_tokens"] = evaluation.MaxTokens,
            ["seed"] = evaluation.Seed,
            ["name"] = evaluation.Name,
        };
        return StepOutcome.Of(await jobs.RunAsync(
            "evaluation", asked, () => client.Jobs.StartEvaluationAsync(evaluation, cancellationToken),
            WireJson.Default.EvaluationResult, progress, cancellationToken));
    }

    private async Task<StepOutcome<QuantizationResult>> QuantizeAsync(
        string adapter, string name, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var quantization = new CreateQuantization { Artifact = adapter, Types = [QuantizedType], Name = name };
        var asked = new JsonObject { ["artifact"] = adapter, ["name"] = name, ["types"] = new JsonArray(JsonValue.Create(QuantizedType)) };
        return StepOutcome.Of(await jobs.RunAsync(
            "quantization", asked, () => client.Jobs.StartQuantizationAsync(quantization, cancellationToken),
            WireJson.Default.QuantizationResult, progress, cancellationToken));
    }

    private async Task<StepOutcome<Verification>> VerifyAsync(string artifact, CancellationToken cancellationToken)
    {
        var verification = await client.Artifacts.VerifyAsync(artifact, cancellationToken);
        ArtifactViews.ThrowUnlessVerified(verification);
        return new(verification, Reused: false);
    }

    /// <summary>The name moves to the new model without a gap, where an earlier run deployed another under it.</summary>
    private async Task<StepOutcome<Deployment>> DeployAsync(string artifact, string name, CancellationToken cancellationToken)
    {
        var deployments = await client.Deployments.ListAsync(cancellationToken);
        return deployments.FirstOrDefault(deployment => deployment.Name == name && deployment.Artifact == artifact && deployment.State == "ready") is { } same
            ? new(same, Reused: true)
            : new(await client.Deployments.CreateAsync(new CreateDeployment { Name = name, Artifact = artifact }, cancellationToken), Reused: false);
    }

    private async Task<StepOutcome<IReadOnlyList<QuickstartAnswer>>> AskAsync(
        string model, string dataset, DatasetVersion version, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var answers = new List<QuickstartAnswer>(Questions);
        var questions = await HeldOutQuestions.ReadAsync(client, dataset, version, Questions, cancellationToken);
        foreach (var (system, question, expected) in questions)
        {
            progress.Report(new ProgressUpdate("asking", answers.Count, questions.Count));
            var session = new ChatSession(client, model, system, temperature: 0, AnswerTokens);
            var answer = await session.AskAsync(question, onText: null, cancellationToken);
            answers.Add(new QuickstartAnswer(question, answer.Content, expected));
        }
        return new(answers, Reused: false);
    }

    private static string Describe(QuickstartPlan plan) => plan.IsBounded
        ? $"{plan.Steps} of {plan.AllSteps} steps, about {Human.About(plan.Seconds)}; all would take about {Human.About(plan.AllSeconds)}: --unbounded"
        : $"{plan.Steps} steps, about {Human.About(plan.Seconds)}";

    private static string Describe(EvaluationResult result) =>
        $"{string.Join(", ", result.Metrics.Select(metric => $"{metric.Name} {metric.Base!.Value:0.00} -> {metric.Candidate.Value:0.00}"))}, {result.Rows} rows of {result.Split}";

    private static JsonObject InputOf(CreateTraining training) => new()
    {
        ["base"] = training.Base,
        ["dataset"] = training.Dataset,
        ["name"] = training.Name,
        ["recipe"] = training.MaxSteps is { } steps ? new JsonObject { ["max_steps"] = steps } : new JsonObject(),
    };

    private sealed record Trained(TrainingResult Result, string Curve);
}
