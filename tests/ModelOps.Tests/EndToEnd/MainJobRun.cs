using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Client;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>The stages of the main job, in their order; the last is none.</summary>
internal enum MainJobStage
{
    Ingest,
    Train,
    Evaluate,
    Quantize,
    Deploy,
    Chat,
    Over,
}

/// <summary>What the main job made, as far as it must be the same however often its processes died.</summary>
/// <param name="Rows">Each by its split and the digest of its content.</param>
/// <param name="Losses">Name, step and bits of each point of the training's series.</param>
/// <param name="Adapter">Path and digest of each file.</param>
/// <param name="Gguf">Digest of the quantized model.</param>
/// <param name="Scores">Of the evaluation, with their intervals.</param>
internal sealed record MainJobOutcome(
    IReadOnlyList<string> Rows, IReadOnlyList<string> Losses, IReadOnlyList<string> Adapter, string Gguf, string Scores, string Answer);

/// <summary>
/// The main job, rows → adapter → scores → quantized model → answer, as a client drives it that takes up whatever a dying server broke off: it asks whether a job was
/// accepted before it asks for it again.
/// </summary>
internal sealed class MainJobRun(ModelOpsClient client, string home, CancellationToken cancel)
{
    private const int Steps = 100;
    private const string Model = "words";
    private static readonly string[] splits = ["train", "validation", "test"];
    private static readonly string[] courses = ["loss", "validation_loss", "learning_rate", "grad_norm"];
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(3);
    private readonly TaskCompletionSource[] entered =
        [.. Enum.GetValues<MainJobStage>().Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))];
    private readonly Stopwatch clock = new();
    private readonly Dictionary<MainJobStage, string> jobs = [];

    /// <summary>How long each stage took.</summary>
    public Dictionary<MainJobStage, TimeSpan> Took { get; } = [];

    public MainJobStage Stage { get; private set; }

    /// <summary>Completes so long from now on, or from when the stage begins, or when the stage is over.</summary>
    public async Task ReachAsync(MainJobStage stage, TimeSpan after)
    {
        await entered[(int)stage].Task.WaitAsync(patience, cancel);
        await Task.WhenAny(Task.Delay(after, cancel), entered[(int)stage + 1].Task);
    }

    /// <summary>From the death of a worker to the next try of the step that it ran; null: that step was done.</summary>
    public async Task<TimeSpan?> RecoveryAsync(MainJobStage stage, DateTimeOffset death)
    {
        var next = await client.Jobs.WatchAsync(jobs[stage], cancellationToken: cancel)
            .FirstOrDefaultAsync(told => told.At > death && told.Message?.StartsWith("attempt", StringComparison.Ordinal) == true, cancel);
        return next?.At - death;
    }

    /// <summary>The bundled base, as a signed artifact.</summary>
    public static async Task PushBaseAsync(ModelOpsClient client, CancellationToken cancel)
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), cancel);
        await client.Artifacts.PushAsync("base", "model", files, progress: null, cancel);
    }

    public async Task<MainJobOutcome> RunAsync()
    {
        try
        {
            var file = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
            Enter(MainJobStage.Ingest);
            await SucceedAsync("ingestion", () => client.Datasets.CreateVersionAsync("rows", file, new ModelOps.Client.IngestionOptions { MaxBad = "0" }, progress: null, cancel), WireJson.Default.IngestionResult);
            Enter(MainJobStage.Train);
            var training = new CreateTraining
            {
                Base = "base",
                Dataset = "rows",
                Name = "adapter",
                Recipe = JsonElement.Parse("""{"batch_size": 1, "sequence_length": 64, "dropout": 0.1, "rank": 4, "validate_every": 40, "checkpoint_seconds": 0.2, "seed": 7}"""),
                MaxSteps = Steps,
            };
            var (trained, _) = await SucceedAsync("sft", () => client.Jobs.StartTrainingAsync(training, cancel), WireJson.Default.TrainingResult);
            Enter(MainJobStage.Evaluate);
            var evaluation = new CreateEvaluation { Artifact = "adapter", Dataset = "rows", Split = "validation", Rows = 8, MaxTokens = 8, Seed = 3 };
            var (_, scores) = await SucceedAsync("evaluation", () => client.Jobs.StartEvaluationAsync(evaluation, cancel), WireJson.Default.EvaluationResult);
            Enter(MainJobStage.Quantize);
            await SucceedAsync("quantization", () => client.Jobs.StartQuantizationAsync(new() { Artifact = "adapter", Name = "quantized", Rows = 8 }, cancel), WireJson.Default.QuantizationResult);
            Enter(MainJobStage.Deploy);
            await InsistAsync(() => client.Deployments.CreateAsync(new() { Name = Model, Artifact = "quantized" }, cancel));
            Enter(MainJobStage.Chat);
            var answer = await InsistAsync(() => client.Chat.CompleteAsync(Question(Model), cancellationToken: cancel));
            Enter(MainJobStage.Over);
            return new(
                await RowsAsync(),
                await LossesAsync(trained.Id),
                [.. (await client.Artifacts.GetAsync("adapter", cancel)).Files.Select(made => $"{made.Path} {made.Sha256}")],
                Assert.Single((await client.Artifacts.GetAsync("quantized", cancel)).Files, made => made.Path.EndsWith(".gguf", StringComparison.Ordinal)).Sha256,
                string.Join(Environment.NewLine, scores.Metrics),
                answer.Content);
        }
        finally
        {
            foreach (var waiting in entered) waiting.TrySetResult(); // nobody waits for a stage that does not come
        }
    }

    public static ChatRequest Question(string model) =>
        new() { Model = model, Messages = [new("user", "What does noise mean?")], MaxTokens = 24, Temperature = 0 };

    private void Enter(MainJobStage stage)
    {
        if (stage > MainJobStage.Ingest) Took[Stage] = clock.Elapsed;
        clock.Restart();
        Stage = stage;
        entered[(int)stage].TrySetResult();
    }

    private async Task<(Job Job, T Result)> SucceedAsync<T>(string kind, Func<Task<Job>> start, JsonTypeInfo<T> result)
    {
        var job = await InsistAsync(async () => await client.Jobs.ListAsync(new() { Kind = kind }, cancel).FirstOrDefaultAsync(cancel) ?? await start());
        jobs[Stage] = job.Id;
        var ended = await InsistAsync(async () => await client.Jobs.WatchAsync(job.Id, cancellationToken: cancel).LastAsync(cancel));
        Assert.True(ended.State == JobState.Succeeded, $"{kind}: {ended.State} {ended.Message}");
        job = await client.Jobs.GetAsync(job.Id, cancel);
        return (job, job.Result!.Value.Deserialize(result)!);
    }

    /// <summary>Until it is answered; only what says that a process is away is asked again.</summary>
    private async Task<T> InsistAsync<T>(Func<Task<T>> ask)
    {
        var waited = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (true)
        {
            try
            {
                return await ask().WaitAsync(patience, cancel);
            }
            catch (ModelOpsException e) when (SteadyClient.SaysAway(e) && waited.Elapsed < patience)
            {
                await tick.WaitForNextTickAsync(cancel);
            }
        }
    }

    private async Task<List<string>> RowsAsync()
    {
        using var stores = await Backends.OpenStoresAsync(home);
        var rows = new List<string>();
        foreach (var split in splits)
        {
            var table = await DeltaTable.OpenAsync(stores.Tables, $"datasets/rows/{split}", cancellationToken: cancel);
            var version = (await table!.SnapshotAsync(cancellationToken: cancel)).Version;
            await foreach (var row in DatasetReader.ReadAsync(stores.Tables, "rows", split, version, cancel)) rows.Add($"{split} {row.Id}");
        }
        rows.Sort(StringComparer.Ordinal);
        return rows;
    }

    private async Task<IReadOnlyList<string>> LossesAsync(string job) =>
    [
        .. (await client.Jobs.GetMetricsAsync(job, courses, cancellationToken: cancel)).SelectMany(
            series => series.Points.Select(point => $"{series.Name} {point.Step} {BitConverter.DoubleToInt64Bits(point.Value):x}")),
    ];
}
