using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Registry;
using LoadedModel = ModelOps.Inference.LoadedModel;

namespace ModelOps.Server.Deployments;

/// <summary>A deployment's model at a seat.</summary>
internal sealed class ReplicaState(InferenceSeat seat)
{
    public InferenceSeat Seat => seat;

    /// <summary>The process that has it loaded; null: none.</summary>
    public SeatedWorker? Worker { get; private set; }

    /// <summary>What its last load was; null: there was none yet.</summary>
    public LoadedModel? Loaded { get; private set; }

    /// <summary>Why it is not loaded, and will not be.</summary>
    public string? Fault { get; set; }

    public bool IsReady => Worker is { HasEnded: false };

    /// <summary>As requests find it; null: it is not loaded.</summary>
    public Replica? Route { get; private set; }

    public void Hold(SeatedWorker worker, LoadedModel loaded, string model) => (Worker, Loaded, Route) = (worker, loaded, new Replica(worker.Backend, model));

    public void Lose() => (Worker, Route) = (null, null);
}

/// <summary>A deployment as it is now: what is recorded of it, and where it is loaded. All of it changes under the lock of the <see cref="DeploymentManager"/>.</summary>
/// <param name="model">What the workers call it: of this deployment of the name alone, so that the one before it goes on until all change at once.</param>
internal sealed class DeploymentState(DeploymentRow row, string model, IReadOnlyList<ReplicaState> replicas, ReplicaBackend backend)
{
    public DeploymentRow Row => row;

    public string Model => model;

    public IReadOnlyList<ReplicaState> Replicas => replicas;

    public ReplicaBackend Backend => backend;

    /// <summary>What the workers call its adapters, by their names.</summary>
    public required Dictionary<string, string> AdapterNames { get; init; }

    /// <summary>What happened to the last replica that was lost.</summary>
    public string? Loss { get; set; }

    private string? Fault => replicas.Select(replica => replica.Fault).FirstOrDefault(fault => fault is not null);

    private string State => replicas.Any(replica => replica.IsReady) ? DeploymentStates.Ready
        : replicas.Any(replica => replica.Fault is null) ? DeploymentStates.Loading
        : DeploymentStates.Failed;

    private string? Error => Fault ?? (State == DeploymentStates.Loading ? Loss : null) ?? (row.Replicas > replicas.Count
        ? $"of {row.Replicas} replicas there may be {replicas.Count}: workers:inference:max is {replicas.Count}" : null);

    public ModelToLoad ToLoad(string? replaces) => new(model, row.Artifact, row.ManifestDigest)
    {
        Title = row.Name,
        Replaces = replaces,
        ContextSize = row.ContextSize,
        Slots = row.Slots,
        QueueLength = row.QueueLength,
        KeepAlive = row.KeepAliveSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        Adapters = [.. row.Adapters.Select(adapter => new AdapterToLoad(AdapterNames[adapter.Name], adapter.Artifact, adapter.ManifestDigest))],
    };

    /// <summary>From now on requests find it as it is now.</summary>
    public void Route()
    {
        var ready = replicas.Where(replica => replica.IsReady).Select(replica => replica.Route!).ToList();
        if (ready.Count > 0) backend.Serve(ready, new Dictionary<string, string>(AdapterNames, StringComparer.Ordinal));
        else backend.Hold(Error ?? $"the model '{row.Name}' is loading; try again in a moment");
    }

    public Deployment ToWire(WorkerMetrics metrics, RecentGenerations recent)
    {
        var loaded = replicas.Select(replica => replica.Loaded).OfType<LoadedModel>().ToList();
        var ready = replicas.Where(replica => replica.IsReady).ToList();
        var memory = ready.Select(replica => metrics.MemoryOf(replica.Seat.Number, model) ?? replica.Loaded!.MemoryBytes).ToList();
        return new Deployment
        {
            Name = row.Name,
            Artifact = row.Artifact,
            State = State,
            Replicas = row.Replicas,
            ReadyReplicas = ready.Count,
            ContextSize = loaded.Count > 0 ? loaded[0].ContextSize : row.ContextSize ?? 0,
            Slots = loaded.Count > 0 ? loaded[0].Slots : row.Slots ?? 0,
            QueueLength = row.QueueLength,
            KeepAliveSeconds = row.KeepAliveSeconds,
            InMemory = memory.Count > 0 && memory.TrueForAll(bytes => bytes > 0),
            MemoryBytes = memory.Sum(),
            LoadSeconds = loaded.Count > 0 ? loaded.Max(model => model.Took.TotalSeconds) : null,
            Adapters = [.. row.Adapters.OrderBy(adapter => adapter.Name, StringComparer.Ordinal).Select(ToWire)],
            CreatedAt = row.CreatedAt,
            Error = Error,
            Stats = Stats(metrics, recent),
        };
    }

    private DeploymentStats Stats(WorkerMetrics metrics, RecentGenerations recent)
    {
        var (queued, active) = metrics.LoadOf(row.Name);
        return new DeploymentStats
        {
            Queued = queued,
            ActiveSlots = active,
            Models =
            [
                ToWire(row.Name, recent.Get(row.Name, adapter: null)),
                .. row.Adapters.Select(adapter => adapter.Name).Order(StringComparer.Ordinal)
                    .Select(adapter => ToWire(DeploymentManager.ModelOf(row.Name, adapter), recent.Get(row.Name, adapter))),
            ],
        };
    }

    private static ModelStats ToWire(string model, RecentActivity recent) => new()
    {
        Model = model,
        ActiveRequests = recent.Active,
        Requests = recent.Ended,
        Failed = recent.Failed,
        TimeToFirstToken = ToWire(recent.TimeToFirstToken),
        InterTokenLatency = ToWire(recent.InterToken),
        TokensPerSecond = recent.TokensPerSecond,
        PromptTokens = recent.Tokens.PromptTokens,
        CachedPromptTokens = recent.Tokens.CachedPromptTokens,
        CompletionTokens = recent.Tokens.CompletionTokens,
        Course = new StatsCourse
        {
            From = recent.Steps[0].At,
            StepSeconds = RecentGenerations.StepSeconds,
            TokensPerSecond = [.. recent.Steps.Select(step => step.TokensPerSecond)],
            TimeToFirstToken = [.. recent.Steps.Select(step => step.TimeToFirstToken?.TotalSeconds)],
        },
    };

    private static LatencyStats? ToWire(Latencies? latencies) => latencies is null ? null : new(latencies.Median.TotalSeconds, latencies.P95.TotalSeconds);

    private static DeployedAdapter ToWire(DeploymentAdapterRow adapter) =>
        new(adapter.Name, DeploymentManager.ModelOf(adapter.Deployment, adapter.Name), adapter.Artifact, adapter.CreatedAt);
}

public static class DeploymentStates
{
    public const string Loading = "loading";
    public const string Ready = "ready";
    public const string Failed = "failed";
}
