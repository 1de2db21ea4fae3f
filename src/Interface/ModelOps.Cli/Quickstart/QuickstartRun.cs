using System.Text.Json;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Jobs;
using ModelOps.Cli.Models;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>The steps, one after the other. The names of what is made come from the data file's name.</summary>
internal sealed class QuickstartRun(Invocation invocation, ModelOpsClient client, bool ownServer)
{
    private const int Steps = 7;
    private const int Questions = 3;
    private const int AnswerTokens = 64;
    private const string QuantizedType = "Q8_0";

    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(5);

    private int step;

    /// <param name="baseModel">A folder, or <c>name[@version]</c> of a model that the server has.</param>
    /// <param name="questionFile">Rows whose questions are asked in the end.</param>
    /// <exception cref="ModelOpsException">A step failed; what it was making is not listed.</exception>
    public async Task<QuickstartReport> RunAsync(
        string baseModel, string dataFile, string questionFile, CancellationToken cancellationToken)
    {
        var start = invocation.Host.Time.GetTimestamp();
        var name = ModelsCommand.NameOf(dataFile);

        var model = await StepAsync(
            "Import the base model", progress => ImportAsync(baseModel, progress, cancellationToken),
            artifact => $"{artifact.Reference}, {Human.Bytes(artifact.Size)}");
        var dataset = await StepAsync(
            "Ingest the data", progress => IngestAsync(name, dataFile, progress, cancellationToken),
            version => $"{version.Artifact}, {Human.Counts(version.Rows)}, {version.RejectedRows} rejected");
        var training = await StepAsync(
            "Fine-tune with LoRA",
            progress => TrainAsync(model.Result.Reference, dataset.Result.Artifact, $"{name}-lora", progress, cancellationToken),
            trained => $"{trained.Result.Artifact}, validation loss {trained.Result.LossBefore:0.000} -> {trained.Result.LossAfter:0.000}  {trained.Curve}");
        var quantization = await StepAsync(
            $"Quantize to {QuantizedType}",
            progress => QuantizeAsync(training.Result.Result.Artifact, $"{name}-{ModelsCommand.NameOf(QuantizedType)}", progress, cancellationToken),
            result => $"{result.Artifacts[0].Artifact}, {Human.Bytes(result.Artifacts[0].Size)}, {result.Artifacts[0].BitsPerWeight:0.00} bits per weight");
        var verification = await StepAsync(
            "Verify the chain", _ => VerifyAsync(quantization.Result.Artifacts[0].Artifact, cancellationToken),
            verified => $"{verified.Checks.Count} checks passed");
        var deployment = await StepAsync(
            "Deploy", _ => DeployAsync(quantization.Result.Artifacts[0].Artifact, name, cancellationToken),
            deployed => $"{deployed.Name}, {deployed.Slots} requests at a time");
        var questions = await SampleQuestions.ReadAsync(questionFile, Questions, cancellationToken);
        var chat = await StepAsync(
            "Ask it", _ => AskAsync(deployment.Result.Name, questions, cancellationToken), answers => $"{answers.Count} of {questions.Count} questions answered");
        ShowAnswers(chat.Result);

        return new QuickstartReport
        {
            Server = client.Server.ToString(),
            ServerStopped = ownServer,
            Seconds = invocation.Host.Time.GetElapsedTime(start).TotalSeconds,
            Base = model,
            Dataset = dataset,
            Training = new QuickstartStep<TrainingResult>(training.Seconds, training.Reused, training.Result.Result),
            Quantization = quantization,
            Verification = verification,
            Deployment = deployment,
            Chat = chat,
            Lineage = await client.Artifacts.GetLineageAsync(quantization.Result.Artifacts[0].Artifact, cancellationToken: cancellationToken),
        };
    }

    private async Task<Outcome<Artifact>> ImportAsync(string baseModel, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(baseModel))
        {
            return new(await client.Artifacts.GetAsync(baseModel, cancellationToken), Reused: true);
        }
        progress.Report(new ProgressUpdate("hashing", 0, null));
        var files = await LocalFiles.HashFolderAsync(baseModel, cancellationToken);
        var name = ModelsCommand.NameOf(baseModel);
        var models = await client.Artifacts.ListAsync(ModelsCommand.Kind, cancellationToken);
        return models.LastOrDefault(artifact => artifact.Name == name && files.SameAs(artifact)) is { } same
            ? new(same, Reused: true)
            : new(await client.Artifacts.PushAsync(name, ModelsCommand.Kind, files, ArtifactPush.Bytes(progress), cancellationToken), Reused: false);
    }

    private async Task<Outcome<DatasetVersion>> IngestAsync(
        string name, string dataFile, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var file = await LocalFiles.HashFileAsync(dataFile, cancellationToken);
        var datasets = await client.Datasets.ListAsync(cancellationToken);
        if (datasets.FirstOrDefault(dataset => dataset.Name == name)?.Versions.LastOrDefault(version => version.SourceSha256 == file.Sha256) is { } same)
        {
            return new(same, Reused: true);
        }
        var job = await client.Datasets.CreateVersionAsync(name, dataFile, options: null, ArtifactPush.Bytes(progress), cancellationToken);
        var (ended, _) = await FinishAsync(job, progress, cancellationToken);
        var made = ResultOf(ended).Deserialize(WireJson.Default.IngestionResult)!;
        var versions = (await client.Datasets.GetAsync(name, version: null, cancellationToken)).Versions;
        return new(versions.Single(version => version.Version == made.Version), Reused: false);
    }

    private async Task<Outcome<Trained>> TrainAsync(
        string model, string dataset, string name, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var job = await client.Jobs.StartTrainingAsync(new CreateTraining { Base = model, Dataset = dataset, Name = name }, cancellationToken);
        var (ended, losses) = await FinishAsync(job, progress, cancellationToken);
        return new(new Trained(ResultOf(ended).Deserialize(WireJson.Default.TrainingResult)!, Sparkline.Of(losses, 24)), Reused: false);
    }

    private async Task<Outcome<QuantizationResult>> QuantizeAsync(
        string adapter, string name, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var job = await client.Jobs.StartQuantizationAsync(
            new CreateQuantization { Artifact = adapter, Types = [QuantizedType], Name = name }, cancellationToken);
        var (ended, _) = await FinishAsync(job, progress, cancellationToken);
        return new(ResultOf(ended).Deserialize(WireJson.Default.QuantizationResult)!, Reused: false);
    }

    private async Task<Outcome<Verification>> VerifyAsync(string artifact, CancellationToken cancellationToken)
    {
        var verification = await client.Artifacts.VerifyAsync(artifact, cancellationToken);
        ArtifactViews.ThrowUnlessVerified(verification);
        return new(verification, Reused: false);
    }

    /// <summary>The name moves to the new model: an earlier run's deployment of it is stopped first.</summary>
    private async Task<Outcome<Deployment>> DeployAsync(string artifact, string name, CancellationToken cancellationToken)
    {
        var deployments = await client.Deployments.ListAsync(cancellationToken);
        if (deployments.Any(deployment => deployment.Name == name))
        {
            await client.Deployments.StopAsync(name, cancellationToken);
        }
        return new(
            await client.Deployments.CreateAsync(new CreateDeployment { Name = name, Artifact = artifact }, cancellationToken), Reused: false);
    }

    private async Task<Outcome<IReadOnlyList<QuickstartAnswer>>> AskAsync(
        string model, IReadOnlyList<string> questions, CancellationToken cancellationToken)
    {
        var answers = new List<QuickstartAnswer>(questions.Count);
        foreach (var question in questions)
        {
            var session = new ChatSession(client, model, system: null, temperature: 0, AnswerTokens);
            var answer = await session.AskAsync(question, onText: null, cancellationToken);
            answers.Add(new QuickstartAnswer(question, answer.Content));
        }
        return new(answers, Reused: false);
    }

    /// <summary>Follows a job; interrupting cancels it, for nobody else waits for it.</summary>
    private async Task<(Job Job, IReadOnlyList<double> Losses)> FinishAsync(
        Job job, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        try
        {
            return await JobWatch.FollowAsync(client, job, progress, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            using var timeout = new CancellationTokenSource(CancelTimeout);
            try
            {
                await client.Jobs.CancelAsync(job.Id, timeout.Token);
            }
            catch (Exception exception) when (exception is ModelOpsException or OperationCanceledException)
            {
                await invocation.Host.Error.WriteLineAsync(
                    $"Job {job.Id} could not be canceled: {exception.Message} Cancel it later: modelops jobs cancel {job.Id}");
            }
            throw;
        }
    }

    private async Task<QuickstartStep<T>> StepAsync<T>(
        string title, Func<IProgress<ProgressUpdate>, Task<Outcome<T>>> work, Func<T, string> summary)
    {
        step++;
        var start = invocation.Host.Time.GetTimestamp();
        var outcome = await ProgressView.RunAsync(invocation, $"[{step}/{Steps}] {title}", work);
        var took = invocation.Host.Time.GetElapsedTime(start);
        if (!invocation.Json)
        {
            var reused = outcome.Reused ? " (already there)" : "";
            await invocation.Host.Out.WriteLineAsync($"[{step}/{Steps}] {title,-22} {Human.Duration(took),8}  {summary(outcome.Result)}{reused}");
        }
        return new QuickstartStep<T>(took.TotalSeconds, outcome.Reused, outcome.Result);
    }

    private void ShowAnswers(IReadOnlyList<QuickstartAnswer> answers)
    {
        if (invocation.Json)
        {
            return;
        }
        foreach (var answer in answers)
        {
            invocation.Host.Out.WriteLine($"      > {answer.Question}");
            ChatCommand.WriteText(invocation.Host, $"        {answer.Answer.Trim()}\n");
        }
    }

    private static JsonElement ResultOf(Job job) => job.Result ?? throw CliProblems.Exception(
        ProblemTypes.Internal, "No result", $"Job {job.Id} ({job.Kind}) succeeded without a result; client and server may differ in version.");

    private sealed record Outcome<T>(T Result, bool Reused);

    private sealed record Trained(TrainingResult Result, string Curve);
}
