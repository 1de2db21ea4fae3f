using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Inference.Wire;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Deployments;

/// <summary>
/// Keeps every deployment loaded in the inference worker: verified, then loaded, at its creation, at each start, and again
/// after the worker died. A deployment answers under its name, an adapter of it under <c>name:adapter</c>.
/// </summary>
public sealed partial class DeploymentManager(
    IDbContextFactory<MetadataContext> contexts,
    ArtifactRegistry registry,
    DeployableArtifacts artifacts,
    WorkerSupervisor workers,
    ModelRouter router,
    WorkerMetrics metrics,
    ArtifactRefusals refusals,
    TimeProvider time,
    ILogger<DeploymentManager> logger) : BackgroundService
{
    private const string ServerActor = "modelops";
    private static readonly TimeSpan firstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan longestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan statusInterval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, Deployment> live = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim gate = new(1);
    private readonly SemaphoreSlim wake = new(0);

    /// <summary>The model id under which an adapter of a deployment answers.</summary>
    public static string ModelOf(string deployment, string adapter) => $"{deployment}:{adapter}";

    public IReadOnlyList<Deployment> List() => [.. live.Values.Select(WithStatus).OrderBy(deployment => deployment.Name, StringComparer.Ordinal)];

    public Deployment? Get(string name) => live.GetValueOrDefault(name) is { } deployment ? WithStatus(deployment) : null;

    /// <summary>Asks the worker anew what it has in memory.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        if (!live.Values.Any(deployment => deployment.State == DeploymentStates.Ready)) return;
        try
        {
            await UpdateStatusAsync((await BackendAsync(cancellationToken)).Backend, cancellationToken);
        }
        catch (InferenceException e)
        {
            Log.NoStatus(logger, e.Message); // what was last known is told
        }
    }

    /// <summary>
    /// Verifies the artifacts, loads them, then records it; a deployment of the same name is replaced once the new one is loaded, and finishes the
    /// requests that it has.
    /// </summary>
    public async Task<DeployResult> CreateAsync(CreateDeployment create, string by, CancellationToken cancellationToken)
    {
        var deployable = await artifacts.CheckAsync(create.Artifact, create.Adapters, by, cancellationToken);
        if (deployable is not Deployable.Verified verified) return Refusal(deployable);
        var now = time.GetUtcNow();
        var row = new DeploymentRow
        {
            Name = create.Name,
            Artifact = verified.Model.Manifest.Reference,
            ManifestDigest = verified.Model.Digest,
            ContextSize = create.ContextSize,
            Slots = create.Slots,
            QueueLength = create.QueueLength,
            KeepAliveSeconds = create.KeepAliveSeconds,
            CreatedAt = now,
            Adapters = [.. verified.Adapters.Select(adapter => RowOf(create.Name, adapter.Key, adapter.Value, now))],
        };
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (await TryAsync(() => LoadAsync(row, cancellationToken), by, cancellationToken) is { } refused) return refused;
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
            await context.Deployments.Where(deployment => deployment.Name == create.Name).ExecuteDeleteAsync(cancellationToken);
            context.Deployments.Add(row);
            await context.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        finally
        {
            gate.Release();
        }
        wake.Release();
        await RefreshAsync(cancellationToken);
        return new DeployResult.Deployed(Get(create.Name)!);
    }

    /// <returns>false: there is none of that name.</returns>
    public async Task<bool> DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            var deleted = await context.Deployments.Where(deployment => deployment.Name == name).ExecuteDeleteAsync(cancellationToken) > 0;
            if (live.TryRemove(name, out var deployment))
            {
                router.Remove(name);
                foreach (var adapter in deployment.Adapters) router.Remove(adapter.Model);
                if (deployment.State == DeploymentStates.Ready) await (await BackendAsync(cancellationToken)).Backend.UnloadAsync(name, cancellationToken);
            }
            return deleted;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Serves an adapter beside a deployment's model; one of the same name is replaced once the new one is loaded.</summary>
    public async Task<DeployResult> AddAdapterAsync(string name, string adapter, string artifact, string by, CancellationToken cancellationToken)
    {
        if (live.GetValueOrDefault(name) is not { } found) return new DeployResult.NoSuchDeployment();
        var deployable = await artifacts.CheckAsync(found.Artifact, new Dictionary<string, string>(StringComparer.Ordinal) { [adapter] = artifact }, by, cancellationToken);
        if (deployable is not Deployable.Verified verified) return Refusal(deployable);
        var row = RowOf(name, adapter, verified.Adapters[adapter], time.GetUtcNow());
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (live.GetValueOrDefault(name) is not { } deployment) return new DeployResult.NoSuchDeployment();
            if (deployment.Artifact != found.Artifact) return new DeployResult.Invalid([$"{name} was replaced meanwhile and serves {deployment.Artifact}; try again"]);
            var (_, backend) = await BackendAsync(cancellationToken);
            if (await TryAsync(() => backend.LoadAdapterAsync(name, ToLoad(row), cancellationToken), by, cancellationToken) is { } refused) return refused;
            await using (var context = await contexts.CreateDbContextAsync(cancellationToken))
            {
                await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
                await context.DeploymentAdapters.Where(other => other.Deployment == name && other.Name == adapter).ExecuteDeleteAsync(cancellationToken);
                context.DeploymentAdapters.Add(row);
                await context.SaveChangesAsync(cancellationToken);
                await transaction.CommitAsync(cancellationToken);
            }
            Serve(deployment with { Adapters = [.. deployment.Adapters.Where(other => other.Name != adapter).Append(ToWire(row)).OrderBy(other => other.Name, StringComparer.Ordinal)] }, backend);
        }
        finally
        {
            gate.Release();
        }
        Log.AdapterLoaded(logger, ModelOf(name, adapter), row.Artifact);
        return new DeployResult.Deployed(Get(name)!);
    }

    /// <returns>false: there is no such deployment or adapter.</returns>
    public async Task<bool> RemoveAdapterAsync(string name, string adapter, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            var removed = await context.DeploymentAdapters.Where(row => row.Deployment == name && row.Name == adapter).ExecuteDeleteAsync(cancellationToken) > 0;
            if (!removed || live.GetValueOrDefault(name) is not { } deployment) return removed;
            router.Remove(ModelOf(name, adapter));
            live[name] = deployment with { Adapters = [.. deployment.Adapters.Where(other => other.Name != adapter)] };
            if (deployment.State == DeploymentStates.Ready)
                await (await BackendAsync(cancellationToken)).Backend.UnloadAdapterAsync(name, adapter, cancellationToken);
            return removed;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>What is recorded is known, as loading, before the first request is answered.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var row in await RowsAsync(cancellationToken)) Hold(ToWire(row, DeploymentStates.Loading), $"the model '{row.Name}' is loading; try again in a moment");
        await base.StartAsync(cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        gate.Dispose();
        wake.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pause = firstPause;
        while (true)
        {
            try
            {
                var rows = await RowsAsync(stoppingToken);
                if (rows.Count == 0)
                {
                    await wake.WaitAsync(stoppingToken);
                    continue;
                }
                var (worker, backend) = await LoadAllAsync(rows, stoppingToken);
                pause = firstPause;
                await WatchAsync(worker, backend, stoppingToken);
                metrics.Latest = new StatusReply();
                foreach (var deployment in live.Values.Where(deployment => deployment.State == DeploymentStates.Ready))
                {
                    var error = $"the inference worker {worker.HowItEnded}; it is started again";
                    Hold(deployment with { State = DeploymentStates.Loading, Error = error }, error);
                }
                Log.WorkerDied(logger, worker.HowItEnded);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.NotLoaded(logger, e);
                await Task.Delay(pause, time, stoppingToken);
                pause = pause * 2 < longestPause ? pause * 2 : longestPause;
            }
        }
    }

    /// <summary>Until the worker's end.</summary>
    private async Task WatchAsync(WorkerProcess worker, WorkerBackend backend, CancellationToken cancellationToken)
    {
        while (!worker.Exited.IsCompleted)
        {
            try
            {
                await UpdateStatusAsync(backend, cancellationToken);
            }
            catch (InferenceException e)
            {
                Log.NoStatus(logger, e.Message);
            }
            await Task.WhenAny(worker.Exited, Task.Delay(statusInterval, time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private async Task UpdateStatusAsync(WorkerBackend backend, CancellationToken cancellationToken) => metrics.Latest = await backend.StatusAsync(cancellationToken);

    /// <summary>Loads what is not loaded; a deployment that fails is marked so and does not hold up the others.</summary>
    private async Task<(WorkerProcess Worker, WorkerBackend Backend)> LoadAllAsync(IReadOnlyList<DeploymentRow> rows, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            foreach (var row in rows.Where(row => live.GetValueOrDefault(row.Name) is { State: DeploymentStates.Loading }))
                if (await FaultAsync(row, cancellationToken) is { } fault) Hold(ToWire(row, DeploymentStates.Failed) with { Error = fault }, fault);
            return await BackendAsync(cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <returns>Why the deployment cannot be loaded; null once it is.</returns>
    private async Task<string?> FaultAsync(DeploymentRow row, CancellationToken cancellationToken)
    {
        foreach (var reference in row.Adapters.Select(adapter => adapter.Artifact).Prepend(row.Artifact))
        {
            if (await registry.UseAsync(reference, cancellationToken) is not ArtifactLoad.Refused refused) continue;
            await refusals.RecordAsync(ServerActor, "deploy", refused.Failure.ToString(), cancellationToken);
            return refused.Failure.ToString();
        }
        return await TryAsync(() => LoadAsync(row, cancellationToken), ServerActor, cancellationToken) switch
        {
            DeployResult.Refused refused => refused.Reason,
            DeployResult.Invalid invalid => string.Join("; ", invalid.Faults),
            _ => null,
        };
    }

    private async Task LoadAsync(DeploymentRow row, CancellationToken cancellationToken)
    {
        using var span = ServerSpans.Source.StartActivity(
            "load model", ActivityKind.Internal, parentContext: default, [new(SpanAttributes.Deployment, row.Name), new(SpanAttributes.Artifact, row.Artifact)]);
        var (_, backend) = await BackendAsync(cancellationToken);
        var loaded = await backend.LoadAsync(
            new ModelToLoad(row.Name, row.Artifact, row.ManifestDigest)
            {
                ContextSize = row.ContextSize,
                Slots = row.Slots,
                QueueLength = row.QueueLength,
                KeepAlive = row.KeepAliveSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                Adapters = [.. row.Adapters.Select(ToLoad)],
            },
            cancellationToken);
        var before = live.GetValueOrDefault(row.Name)?.Adapters ?? [];
        Serve(
            ToWire(row, DeploymentStates.Ready) with
            {
                ContextSize = loaded.ContextSize,
                Slots = loaded.Slots,
                LoadSeconds = loaded.Took.TotalSeconds,
                InMemory = true,
                MemoryBytes = loaded.MemoryBytes,
            },
            backend);
        foreach (var gone in before.Where(adapter => row.Adapters.TrueForAll(other => other.Name != adapter.Name))) router.Remove(gone.Model);
        Log.Loaded(logger, row.Name, row.Artifact, loaded.Took.TotalSeconds);
    }

    /// <returns>The refusal; null: it is done.</returns>
    private async Task<DeployResult?> TryAsync(Func<Task> load, string by, CancellationToken cancellationToken)
    {
        try
        {
            await load();
            return null;
        }
        catch (InferenceException e) when (e.Error == InferenceError.VerificationFailed)
        {
            await refusals.RecordAsync(by, "deploy", e.Message, cancellationToken);
            return new DeployResult.Refused(e.Message);
        }
        catch (InferenceException e) when (e.Error == InferenceError.InvalidRequest)
        {
            return new DeployResult.Invalid([e.Message]);
        }
    }

    /// <summary>It is known, and its clients are told to come again.</summary>
    private void Hold(Deployment deployment, string reason) => Serve(deployment, new UnavailableBackend(reason));

    private void Serve(Deployment deployment, IInferenceBackend backend)
    {
        live[deployment.Name] = deployment;
        router.Set(deployment.Name, new ModelRoute(backend, deployment.Name) { CreatedAt = deployment.CreatedAt });
        foreach (var adapter in deployment.Adapters)
            router.Set(adapter.Model, new ModelRoute(backend, deployment.Name) { Adapter = adapter.Name, CreatedAt = adapter.CreatedAt });
    }

    private Deployment WithStatus(Deployment deployment) =>
        deployment.State == DeploymentStates.Ready && metrics.Latest.Models.FirstOrDefault(model => model.Name == deployment.Name) is { } status
            ? deployment with { InMemory = status.InMemory, MemoryBytes = (long)status.MemoryBytes }
            : deployment;

    private async Task<(WorkerProcess Worker, WorkerBackend Backend)> BackendAsync(CancellationToken cancellationToken)
    {
        try
        {
            var worker = await workers.GetAsync(WorkerRole.Inference, cancellationToken);
            return (worker, new WorkerBackend(new InferenceEngine.InferenceEngineClient(worker.Channel)));
        }
        catch (WorkerStartException e)
        {
            throw new InferenceException(InferenceError.Unavailable, e.Message, e);
        }
    }

    private async Task<IReadOnlyList<DeploymentRow>> RowsAsync(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Deployments.AsNoTracking().Include(deployment => deployment.Adapters).OrderBy(deployment => deployment.CreatedAt).ToListAsync(cancellationToken);
    }

    private static DeployResult Refusal(Deployable deployable) => deployable switch
    {
        Deployable.NotFound missing => new DeployResult.NoSuchArtifact(missing.Reference),
        Deployable.Refused refused => new DeployResult.Refused(refused.Reason),
        Deployable.Invalid invalid => new DeployResult.Invalid(invalid.Faults),
        Deployable.TooLow low => new DeployResult.TooLow(low.Gates),
        _ => throw new InvalidOperationException($"unknown outcome {deployable}"),
    };

    private static DeploymentAdapterRow RowOf(string deployment, string name, VerifiedArtifact artifact, DateTimeOffset at) => new()
    {
        Deployment = deployment,
        Name = name,
        Artifact = artifact.Manifest.Reference,
        ManifestDigest = artifact.Digest,
        CreatedAt = at,
    };

    private static AdapterToLoad ToLoad(DeploymentAdapterRow row) => new(row.Name, row.Artifact, row.ManifestDigest);

    private static DeployedAdapter ToWire(DeploymentAdapterRow row) => new(row.Name, ModelOf(row.Deployment, row.Name), row.Artifact, row.CreatedAt);

    private static Deployment ToWire(DeploymentRow row, string state) => new()
    {
        Name = row.Name,
        Artifact = row.Artifact,
        State = state,
        ContextSize = row.ContextSize ?? 0,
        Slots = row.Slots ?? 0,
        QueueLength = row.QueueLength,
        KeepAliveSeconds = row.KeepAliveSeconds,
        Adapters = [.. row.Adapters.OrderBy(adapter => adapter.Name, StringComparer.Ordinal).Select(ToWire)],
        CreatedAt = row.CreatedAt,
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "deployment {Name} serves {Artifact}, loaded in {Seconds:F2} s")]
        public static partial void Loaded(ILogger logger, string name, string artifact, double seconds);

        [LoggerMessage(2, LogLevel.Error, "the inference worker {HowItEnded}; its deployments are loaded again")]
        public static partial void WorkerDied(ILogger logger, string howItEnded);

        [LoggerMessage(3, LogLevel.Error, "deployments could not be loaded; trying again")]
        public static partial void NotLoaded(ILogger logger, Exception exception);

        [LoggerMessage(4, LogLevel.Information, "{Model} serves {Artifact}")]
        public static partial void AdapterLoaded(ILogger logger, string model, string artifact);

        [LoggerMessage(5, LogLevel.Warning, "the inference worker does not say what it has loaded: {Reason}")]
        public static partial void NoStatus(ILogger logger, string reason);
    }
}

public static class DeploymentStates
{
    public const string Loading = "loading";
    public const string Ready = "ready";
    public const string Failed = "failed";
}

public abstract record DeployResult
{
    private DeployResult()
    {
    }

    public sealed record Deployed(Deployment Deployment) : DeployResult;

    public sealed record NoSuchDeployment : DeployResult;

    public sealed record NoSuchArtifact(string Reference) : DeployResult;

    /// <summary>An artifact does not verify.</summary>
    public sealed record Refused(string Reason) : DeployResult;

    public sealed record Invalid(IReadOnlyList<string> Faults) : DeployResult;

    /// <summary>Artifacts have not reached the stage that deployments need.</summary>
    public sealed record TooLow(IReadOnlyList<string> Gates) : DeployResult;
}
