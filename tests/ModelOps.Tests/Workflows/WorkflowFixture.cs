using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Temporal;
using ModelOps.Workflows;
using Temporalio.Activities;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace ModelOps.Tests.Workflows;

/// <summary>
/// The workflows on the embedded service, with activities that answer at once instead of training for hours: what is tested is what the workflows
/// ask for, and in which order.
/// </summary>
public sealed class WorkflowFixture : IAsyncLifetime
{
    public static readonly PinnedArtifact Base = new("base", "1", new string('a', 64));
    public static readonly DatasetReference Rows = new("rows", "1", new Dictionary<string, long> { ["train"] = 1 }, new("rows", "1", new string('b', 64)));
    private static readonly JsonElement empty = JsonElement.Parse("{}");
    private readonly CancellationTokenSource stopping = new();
    private TemporalServer? server;
    private readonly List<TemporalWorker> workers = [];
    private Task polling = Task.CompletedTask;

    public TemporalClient Client { get; private set; } = null!;

    /// <summary>What the workflow of a job told its record.</summary>
    public ConcurrentDictionary<string, ConcurrentQueue<JobChange>> Told { get; } = new(StringComparer.Ordinal);

    /// <summary>What the training activity of a job does; without one it answers at once.</summary>
    public ConcurrentDictionary<string, Func<ActivityExecutionContext, Task>> Trainings { get; } = new(StringComparer.Ordinal);

    /// <summary>What quantizations were asked for.</summary>
    public ConcurrentBag<QuantizeModel> Quantized { get; } = [];

    /// <summary>With what a quantization to a type fails.</summary>
    public ConcurrentDictionary<string, string> QuantizationFaults { get; } = new(StringComparer.Ordinal);

    /// <summary>What evaluations were asked for.</summary>
    public ConcurrentBag<EvaluateModel> Evaluated { get; } = [];

    /// <summary>What was registered.</summary>
    public ConcurrentBag<RegisterArtifact> Registered { get; } = [];

    public async ValueTask InitializeAsync()
    {
        server = await TemporalServer.StartAsync(new TemporalServerOptions(), NullLoggerFactory.Instance, TestContext.Current.CancellationToken);
        Client = await TemporalClient.ConnectAsync(new(server.Address) { DataConverter = HistoryData.Converter });
        var options = new TemporalWorkerOptions(WorkerRole.Control.TaskQueue());
        foreach (var workflow in Definitions) options.AddWorkflow(workflow);
        Add(options, Activities.RecordJob, (job, change) =>
        {
            Told.GetOrAdd(job, _ => new()).Enqueue(change);
            return new JobChanged();
        });
        Add(options, Activities.ResolveArtifact, (_, input) => input.Reference.EndsWith("-lora", StringComparison.Ordinal)
            ? new ResolvedArtifact(new(input.Reference, "1", Base.Digest), "adapter", Base, Dataset: null)
            : new ResolvedArtifact(new(input.Reference, "1", Base.Digest), "model", Base: null, Dataset: null));
        Add(options, Activities.ResolveDataset, (_, _) => new ResolvedDataset(Rows));
        Add(options, Activities.RegisterArtifact, (_, input) =>
        {
            Registered.Add(input);
            return new PinnedArtifact(input.Name, "1", new string('c', 64));
        });
        Add(options, Activities.StoreTrainingResults, (job, _) => new UploadedFile($"results of {job}", new("metrics.csv", 1, Base.Digest)));
        Add(options, Activities.DeployModel, (_, input) => new DeployedModel(input.Name));
        Add(options, Activities.RecordDatasetVersion, (_, input) => Rows with { Name = input.Dataset });

        var data = new TemporalWorkerOptions(WorkerRole.Data.TaskQueue());
        Add(data, Activities.IngestDataset, (_, _) => new IngestedDataset("sft", Rows.TableVersions, Rows.TableVersions, 0, empty, new("report", 1, Base.Digest)));
        var quantization = new TemporalWorkerOptions(WorkerRole.Quantization.TaskQueue());
        Add(quantization, Activities.QuantizeModel, (_, input) =>
        {
            Quantized.Add(input);
            if (QuantizationFaults.TryGetValue(input.Type, out var fault)) throw new ApplicationFailureException($"{input.Type} cannot be", fault, nonRetryable: true);
            return new QuantizedModel([], 1, 4.5, new Parity(1, 1, 0, 1, 1));
        });
        var evaluation = new TemporalWorkerOptions(WorkerRole.Evaluation.TaskQueue());
        Add(evaluation, Activities.EvaluateModel, (_, input) =>
        {
            Evaluated.Add(input);
            return new EvaluatedModel(empty, [], empty, new Dictionary<string, double> { ["loss"] = 1 }, "evaluations/1", 1, 1, 0, 1);
        });
        var train = new TemporalWorkerOptions(WorkerRole.Training.TaskQueue()) { MaxHeartbeatThrottleInterval = TimeSpan.FromMilliseconds(100) };
        train.AddActivity(ActivityDefinition.Create(
            Activities.TrainAdapter.Name, typeof(Task<TrainedAdapter>), [typeof(TrainAdapter), typeof(JobRun)], 2, _ => TrainAsync()));
        Add(train, Activities.PlanTraining, (_, _) => new PlannedTraining(JsonElement.Parse("""{"tokens":7}"""), "training 1@here"));
        foreach (var queue in (TemporalWorkerOptions[])[options, data, quantization, evaluation, train]) workers.Add(new TemporalWorker(Client, queue));
        polling = Task.WhenAll(workers.Select(worker => worker.ExecuteAsync(stopping.Token)));
    }

    public static IReadOnlyList<Type> Definitions { get; } = [typeof(DatasetIngestionWorkflow), typeof(SftTrainingWorkflow), typeof(TrainingPlanWorkflow), typeof(QuantizationWorkflow), typeof(EvaluationWorkflow), typeof(FineTuningWorkflow)];

    public Task<WorkflowHandle> StartAsync(string workflow, string job, object input, JobRun? run = null) => Client.StartWorkflowAsync(
        workflow, [input, run ?? new JobRun(1, TraceParent: null)], new WorkflowOptions(job, WorkerRole.Control.TaskQueue()) { Priority = new Priority(3) });

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await polling.ContinueWith(_ => { }, TaskScheduler.Default); // it ends as canceled
        foreach (var worker in workers) worker.Dispose();
        if (server is not null) await server.DisposeAsync();
        stopping.Dispose();
    }

    private async Task<TrainedAdapter> TrainAsync()
    {
        var context = ActivityExecutionContext.Current;
        if (Trainings.TryGetValue(context.Info.WorkflowId!, out var behave)) await behave(context);
        return new TrainedAdapter([], empty, 1, 1, 2, 1, 1, "validation", 0, 0);
    }

    private static void Add<TInput, TResult>(TemporalWorkerOptions options, Activity<TInput, TResult> activity, Func<string, TInput, TResult> run) =>
        options.AddActivity(ActivityDefinition.Create(
            activity.Name, typeof(TResult), [typeof(TInput), typeof(JobRun)], 2,
            arguments => run(ActivityExecutionContext.Current.Info.WorkflowId!, (TInput)arguments[0]!)));
}
