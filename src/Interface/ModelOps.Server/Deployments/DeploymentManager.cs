using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Inference.Wire;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Deployments;

/// <summary>
/// Keeps every deployment loaded in the inference worker: verified, then loaded, at its creation, at each start, and again
/// after the worker died.
/// </summary>
public sealed partial class DeploymentManager(
    IDbContextFactory<MetadataContext> contexts,
    ArtifactRegistry registry,
    WorkerSupervisor workers,
    ModelRouter router,
    ArtifactRefusals refusals,
    TimeProvider time,
    ILogger<DeploymentManager> logger) : BackgroundService
{
    private static readonly TimeSpan firstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan longestPause = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<string, Deployment> live = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim gate = new(1);
    private readonly SemaphoreSlim wake = new(0);

    public IReadOnlyList<Deployment> List() => [.. live.Values.OrderBy(deployment => deployment.Name, StringComparer.Ordinal)];

    public Deployment? Get(string name) => live.GetValueOrDefault(name);

    /// <summary>Verifies the artifact, loads it, then records it; a deployment of the same name is replaced once the new one is loaded.</summary>
    public async Task<DeployResult> CreateAsync(CreateDeployment create, string by, CancellationToken cancellationToken)
    {
        VerifiedArtifact artifact;
        switch (await registry.UseAsync(create.Artifact, cancellationToken))
        {
            case ArtifactLoad.Verified verified:
                artifact = verified.Artifact;
                break;
            case ArtifactLoad.Refused refused:
                await refusals.RecordAsync(by, "deploy", refused.Failure.ToString(), cancellationToken);
                return new DeployResult.Refused(refused.Failure.ToString());
            default:
                return new DeployResult.NoSuchArtifact();
        }
        if (artifact.Manifest.Kind != "gguf")
            return new DeployResult.Invalid($"{artifact.Manifest.Reference} is a {artifact.Manifest.Kind}; only a gguf artifact can be served, see 'modelops quantize'");
        var row = new DeploymentRow
        {
            Name = create.Name,
            Artifact = artifact.Manifest.Reference,
            ManifestDigest = artifact.Digest,
            ContextSize = create.ContextSize,
            Slots = create.Slots,
            CreatedAt = time.GetUtcNow(),
        };
        await gate.WaitAsync(cancellationToken);
        try
        {
            try
            {
                await LoadAsync(row, cancellationToken);
            }
            catch (InferenceException e) when (e.Error == InferenceError.VerificationFailed)
            {
                await refusals.RecordAsync(by, "deploy", e.Message, cancellationToken);
                return new DeployResult.Refused(e.Message);
            }
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            await context.Deployments.Where(deployment => deployment.Name == create.Name).ExecuteDeleteAsync(cancellationToken);
            context.Deployments.Add(row);
            await context.SaveChangesAsync(cancellationToken);
        }
        finally
        {
            gate.Release();
        }
        wake.Release();
        return new DeployResult.Deployed(live[create.Name]);
    }

    /// <returns>false: there is none of that name.</returns>
    public async Task<bool> DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            var deleted = await context.Deployments.Where(deployment => deployment.Name == name).ExecuteDeleteAsync(cancellationToken) > 0;
            router.Remove(name);
            if (live.TryRemove(name, out var deployment) && deployment.State == DeploymentStates.Ready)
                await (await BackendAsync(cancellationToken)).Backend.UnloadAsync(name, cancellationToken);
            return deleted;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>What is recorded is known, as loading, before the first request is answered.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var row in await RowsAsync(cancellationToken)) live[row.Name] = ToWire(row, DeploymentStates.Loading);
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
                var worker = await LoadAllAsync(rows, stoppingToken);
                pause = firstPause;
                await Task.WhenAny(worker.Exited, Task.Delay(Timeout.Infinite, stoppingToken));
                stoppingToken.ThrowIfCancellationRequested();
                foreach (var name in live.Keys) MarkDown(name, $"the inference worker {worker.HowItEnded}; it is started again");
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

    /// <summary>Loads what is not loaded; a deployment that fails is marked so and does not hold up the others.</summary>
    private async Task<WorkerProcess> LoadAllAsync(IReadOnlyList<DeploymentRow> rows, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            foreach (var row in rows)
            {
                if (live.GetValueOrDefault(row.Name) is not { State: DeploymentStates.Loading }) continue;
                if (await registry.UseAsync(row.Artifact, cancellationToken) is ArtifactLoad.Refused refused)
                {
                    await refusals.RecordAsync("modelops", "deploy", refused.Failure.ToString(), cancellationToken);
                    live[row.Name] = ToWire(row, DeploymentStates.Failed) with { Error = refused.Failure.ToString() };
                    continue;
                }
                try
                {
                    await LoadAsync(row, cancellationToken);
                }
                catch (InferenceException e) when (e.Error is InferenceError.InvalidRequest or InferenceError.VerificationFailed)
                {
                    if (e.Error == InferenceError.VerificationFailed)
                        await refusals.RecordAsync("modelops", "deploy", e.Message, cancellationToken);
                    live[row.Name] = ToWire(row, DeploymentStates.Failed) with { Error = e.Message };
                }
            }
            return (await BackendAsync(cancellationToken)).Worker;
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task LoadAsync(DeploymentRow row, CancellationToken cancellationToken)
    {
        var (_, backend) = await BackendAsync(cancellationToken);
        var loaded = await backend.LoadAsync(
            new ModelToLoad(row.Name, row.Artifact, row.ManifestDigest) { ContextSize = row.ContextSize, Slots = row.Slots }, cancellationToken);
        router.Set(row.Name, new ModelRoute(backend, row.Name));
        live[row.Name] = ToWire(row, DeploymentStates.Ready) with { ContextSize = loaded.ContextSize, Slots = loaded.Slots };
        Log.Loaded(logger, row.Name, row.Artifact, loaded.Took.TotalSeconds);
    }

    private void MarkDown(string name, string error)
    {
        router.Remove(name);
        if (live.TryGetValue(name, out var deployment) && deployment.State == DeploymentStates.Ready)
            live[name] = deployment with { State = DeploymentStates.Loading, Error = error };
    }

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
        return await context.Deployments.AsNoTracking().OrderBy(deployment => deployment.CreatedAt).ToListAsync(cancellationToken);
    }

    private static Deployment ToWire(DeploymentRow row, string state) => new()
    {
        Name = row.Name,
        Artifact = row.Artifact,
        State = state,
        ContextSize = row.ContextSize ?? 0,
        Slots = row.Slots ?? 0,
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

    public sealed record NoSuchArtifact : DeployResult;

    /// <summary>It does not verify.</summary>
    public sealed record Refused(string Reason) : DeployResult;

    public sealed record Invalid(string Reason) : DeployResult;
}
