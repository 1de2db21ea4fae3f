using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Deployments;

/// <summary>
/// Keeps every deployment loaded in as many inference workers as it has replicas: verified, then loaded, at its creation, at each start, and again
/// after a worker died. A deployment answers under its name, an adapter of it under <c>name:adapter</c>.
/// </summary>
public sealed partial class DeploymentManager(
    IDbContextFactory<MetadataContext> contexts,
    ArtifactRegistry registry,
    DeployableArtifacts artifacts,
    WorkerSupervisor workers,
    WorkersOptions options,
    ModelRouter router,
    WorkerMetrics metrics,
    InferenceMetrics inference,
    ArtifactRefusals refusals,
    TimeProvider time,
    ILogger<DeploymentManager> logger) : IHostedService, IDisposable
{
    private const string ServerActor = "modelops";
    private readonly Lock state = new(); // of what everybody reads
    private readonly SemaphoreSlim gate = new(1); // whoever changes deployments or seats, one after the other
    private readonly Dictionary<string, DeploymentState> live = new(StringComparer.Ordinal);
    private readonly List<InferenceSeat> seats = [];
    private int loads;

    /// <summary>Replicas that a deployment may have.</summary>
    public int MostReplicas => options.Inference.Max;

    /// <summary>The model id under which an adapter of a deployment answers.</summary>
    public static string ModelOf(string deployment, string adapter) => $"{deployment}:{adapter}";

    public IReadOnlyList<Deployment> List()
    {
        lock (state) return [.. live.Values.Select(deployment => deployment.ToWire(metrics, inference.Recent)).OrderBy(deployment => deployment.Name, StringComparer.Ordinal)];
    }

    public Deployment? Get(string name)
    {
        lock (state) return live.GetValueOrDefault(name)?.ToWire(metrics, inference.Recent);
    }

    /// <summary>Asks the workers anew what they have in memory.</summary>
    public Task RefreshAsync(CancellationToken cancellationToken)
    {
        lock (state) return Task.WhenAll(seats.Select(seat => seat.RefreshAsync(cancellationToken)));
    }

    /// <summary>
    /// Verifies the artifacts, loads them in as many workers as there are to be replicas, then records it. One of the same name is replaced once all of
    /// the new one is loaded, in all workers at once, and finishes the requests that it has.
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
            Replicas = create.Replicas ?? 1,
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
            if (await TryAsync(() => ReplaceAsync(row, cancellationToken), by, cancellationToken) is { } refused) return refused;
        }
        finally
        {
            await LeaveSeatsAsync();
            gate.Release();
        }
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
            if (Find(name) is not { } deployment) return deleted;
            lock (state)
            {
                live.Remove(name);
                router.Remove(name);
                foreach (var adapter in deployment.Row.Adapters) router.Remove(ModelOf(name, adapter.Name));
                deployment.Backend.Hold($"the model '{name}' was stopped");
            }
            await UnloadAsync(deployment);
            return deleted;
        }
        finally
        {
            await LeaveSeatsAsync();
            gate.Release();
        }
    }

    /// <summary>Serves an adapter beside a deployment's model; one of the same name is replaced once the new one is loaded, in all workers at once.</summary>
    public async Task<DeployResult> AddAdapterAsync(string name, string adapter, string artifact, string by, CancellationToken cancellationToken)
    {
        if (Find(name)?.Row.Artifact is not { } model) return new DeployResult.NoSuchDeployment();
        var deployable = await artifacts.CheckAsync(model, new Dictionary<string, string>(StringComparer.Ordinal) { [adapter] = artifact }, by, cancellationToken);
        if (deployable is not Deployable.Verified verified) return Refusal(deployable);
        var row = RowOf(name, adapter, verified.Adapters[adapter], time.GetUtcNow());
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (Find(name) is not { } deployment) return new DeployResult.NoSuchDeployment();
            if (deployment.Row.Artifact != model) return new DeployResult.Invalid([$"{name} was replaced meanwhile and serves {deployment.Row.Artifact}; try again"]);
            if (await TryAsync(() => ReplaceAdapterAsync(deployment, row, cancellationToken), by, cancellationToken) is { } refused) return refused;
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
            if (!removed || Find(name) is not { } deployment) return removed;
            string? gone;
            lock (state)
            {
                router.Remove(ModelOf(name, adapter));
                deployment.AdapterNames.Remove(adapter, out gone);
                deployment.Row.Adapters.RemoveAll(row => row.Name == adapter);
                deployment.Route();
            }
            if (gone is not null) await UnloadAdapterAsync(deployment, gone);
            return removed;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>What is recorded is known, as loading, before the first request is answered.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken); // no seat loads before all are placed
        try
        {
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            var rows = await context.Deployments.AsNoTracking().Include(deployment => deployment.Adapters).OrderBy(deployment => deployment.CreatedAt).ToListAsync(cancellationToken);
            foreach (var row in rows) Serve(Place(row, before: null));
        }
        finally
        {
            gate.Release();
        }
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        lock (state) return Task.WhenAll(seats.Select(seat => seat.LeaveAsync()));
    }

    /// <summary>The container disposes it for each way that it is registered.</summary>
    public void Dispose()
    {
        foreach (var seat in seats) seat.Dispose();
        gate.Dispose();
    }

    /// <summary>Loads what is placed at a seat in the worker that it has; a deployment that fails is marked so and does not hold up the others.</summary>
    private async Task LoadAsync(SeatedWorker worker, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            foreach (var (deployment, replica) in PlacedAt(worker.Seat).Where(placed => placed.Replica.Fault is null && placed.Replica.Worker != worker))
            {
                var fault = await FaultAsync(deployment, replica, worker, cancellationToken);
                lock (state)
                {
                    replica.Fault = fault;
                    deployment.Route();
                }
            }
        }
        finally
        {
            gate.Release();
        }
    }

    private void Lose(SeatedWorker worker)
    {
        lock (state)
        {
            foreach (var (deployment, replica) in PlacedAt(worker.Seat).Where(placed => placed.Replica.Worker == worker))
            {
                replica.Lose();
                deployment.Loss = $"the inference worker {worker.Process.HowItEnded}; it is started again";
                deployment.Route();
            }
        }
    }

    /// <returns>Why the replica cannot be loaded; null once it is.</returns>
    private async Task<string?> FaultAsync(DeploymentState deployment, ReplicaState replica, SeatedWorker worker, CancellationToken cancellationToken)
    {
        foreach (var reference in deployment.Row.Adapters.Select(adapter => adapter.Artifact).Prepend(deployment.Row.Artifact))
        {
            if (await registry.UseAsync(reference, cancellationToken) is not ArtifactLoad.Refused refused) continue;
            await refusals.RecordAsync(ServerActor, "deploy", refused.Failure.ToString(), cancellationToken);
            return refused.Failure.ToString();
        }
        return await TryAsync(() => LoadAsync(deployment, replica, worker, before: null, cancellationToken), ServerActor, cancellationToken) switch
        {
            DeployResult.Refused refused => refused.Reason,
            DeployResult.Invalid invalid => string.Join("; ", invalid.Faults),
            _ => null,
        };
    }

    private async Task LoadAsync(DeploymentState deployment, ReplicaState replica, SeatedWorker worker, DeploymentState? before, CancellationToken cancellationToken)
    {
        using var span = ServerSpans.Source.StartActivity(
            "load model", ActivityKind.Internal, parentContext: default,
            [new(SpanAttributes.Deployment, deployment.Row.Name), new(SpanAttributes.Artifact, deployment.Row.Artifact)]);
        var replaces = before is not null && before.Replicas.Any(other => other.Seat == worker.Seat) ? before.Model : null;
        var loaded = await worker.Backend.LoadAsync(deployment.ToLoad(replaces), cancellationToken);
        lock (state) replica.Hold(worker, loaded, deployment.Model);
        Log.Loaded(logger, deployment.Row.Name, deployment.Row.Artifact, worker.Seat.Number, loaded.Took.TotalSeconds);
    }

    /// <summary>All of it is loaded and recorded, and answers from then on; or nothing has changed.</summary>
    private async Task ReplaceAsync(DeploymentRow row, CancellationToken cancellationToken)
    {
        var before = Find(row.Name);
        var deployment = Place(row, before);
        try
        {
            await Task.WhenAll(deployment.Replicas.Select(async replica =>
                await LoadAsync(deployment, replica, await replica.Seat.WorkerAsync(cancellationToken), before, cancellationToken)));
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
            await context.Deployments.Where(other => other.Name == row.Name).ExecuteDeleteAsync(cancellationToken);
            context.Deployments.Add(row);
            await context.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch
        {
            await UnloadAsync(deployment);
            throw;
        }
        Serve(deployment);
        if (before is not null) await UnloadAsync(before);
    }

    /// <inheritdoc cref="ReplaceAsync"/>
    private async Task ReplaceAdapterAsync(DeploymentState deployment, DeploymentAdapterRow row, CancellationToken cancellationToken)
    {
        var name = NameOfLoad(row.Name);
        var ready = deployment.Replicas.Where(replica => replica.IsReady).ToList();
        if (ready.Count == 0) throw new InferenceException(InferenceError.Unavailable, $"the model '{row.Deployment}' is not loaded now; try again when it is");
        try
        {
            await Task.WhenAll(ready.Select(replica =>
                replica.Worker!.Backend.LoadAdapterAsync(deployment.Model, new AdapterToLoad(name, row.Artifact, row.ManifestDigest), cancellationToken)));
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
            await context.DeploymentAdapters.Where(other => other.Deployment == row.Deployment && other.Name == row.Name).ExecuteDeleteAsync(cancellationToken);
            context.DeploymentAdapters.Add(row);
            await context.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch
        {
            await UnloadAdapterAsync(deployment, name);
            throw;
        }
        string? gone;
        lock (state)
        {
            gone = deployment.AdapterNames.GetValueOrDefault(row.Name);
            deployment.AdapterNames[row.Name] = name;
            deployment.Row.Adapters.RemoveAll(other => other.Name == row.Name);
            deployment.Row.Adapters.Add(row);
        }
        Serve(deployment);
        if (gone is not null) await UnloadAdapterAsync(deployment, gone);
    }

    /// <summary>Chooses a seat for each replica: where the one before it is, then where the fewest are. Seats that are missing are made.</summary>
    private DeploymentState Place(DeploymentRow row, DeploymentState? before)
    {
        var count = Math.Min(row.Replicas, MostReplicas);
        lock (state)
        {
            while (seats.Count < count) seats.Add(NewSeat());
            var chosen = seats.OrderBy(seat => before is not null && before.Replicas.Any(replica => replica.Seat == seat) ? 0 : 1)
                .ThenBy(seat => PlacedAt(seat).Count).ThenBy(seat => seat.Number).Take(count);
            return new DeploymentState(row, NameOfLoad(row.Name), [.. chosen.Select(seat => new ReplicaState(seat))], before?.Backend ?? new ReplicaBackend())
            {
                AdapterNames = row.Adapters.ToDictionary(adapter => adapter.Name, adapter => NameOfLoad(adapter.Name), StringComparer.Ordinal),
            };
        }
    }

    private InferenceSeat NewSeat()
    {
        var number = Enumerable.Range(1, MostReplicas).First(free => seats.TrueForAll(seat => seat.Number != free));
        var seat = new InferenceSeat(number, workers, metrics, new SeatDuties(LoadAsync, Lose), time, logger);
        seat.Begin();
        return seat;
    }

    /// <summary>A seat with nothing left to load gives its worker back.</summary>
    private async Task LeaveSeatsAsync()
    {
        List<InferenceSeat> empty;
        lock (state)
        {
            empty = [.. seats.Where(seat => PlacedAt(seat).Count == 0)];
            seats.RemoveAll(empty.Contains);
        }
        foreach (var seat in empty)
        {
            await seat.LeaveAsync();
            seat.Dispose();
        }
    }

    /// <summary>From now on requests find it, and nothing of what had its name.</summary>
    private void Serve(DeploymentState deployment)
    {
        var row = deployment.Row;
        lock (state)
        {
            var before = live.GetValueOrDefault(row.Name)?.Row.Adapters ?? [];
            live[row.Name] = deployment;
            deployment.Route();
            var route = new ModelRoute(deployment.Backend, row.Name) { CreatedAt = row.CreatedAt };
            router.Set(row.Name, FineTunedModel.Parse(row.Name) is { } tuned ? route with { OwnedBy = tuned.Organization } : route);
            foreach (var adapter in row.Adapters)
                router.Set(ModelOf(row.Name, adapter.Name), new ModelRoute(deployment.Backend, row.Name) { Adapter = adapter.Name, CreatedAt = adapter.CreatedAt });
            foreach (var gone in before.Where(adapter => row.Adapters.TrueForAll(other => other.Name != adapter.Name))) router.Remove(ModelOf(row.Name, gone.Name));
        }
    }

    /// <summary>Requests under way finish first; a worker that does not answer is dead, and with it all that it had.</summary>
    private Task UnloadAsync(DeploymentState deployment) =>
        InWorkersAsync(deployment, backend => backend.UnloadAsync(deployment.Model, CancellationToken.None));

    /// <inheritdoc cref="UnloadAsync"/>
    /// <param name="adapter">What the workers call it.</param>
    private Task UnloadAdapterAsync(DeploymentState deployment, string adapter) =>
        InWorkersAsync(deployment, backend => backend.UnloadAdapterAsync(deployment.Model, adapter, CancellationToken.None));

    private Task InWorkersAsync(DeploymentState deployment, Func<WorkerBackend, Task> unload) => Task.WhenAll(deployment.Replicas.Select(async replica =>
    {
        if (replica.Seat.Worker is not { } worker) return;
        try
        {
            await unload(worker.Backend);
        }
        catch (InferenceException e)
        {
            Log.NotUnloaded(logger, deployment.Row.Name, worker.Seat.Number, e.Message);
        }
    }));

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

    private DeploymentState? Find(string name)
    {
        lock (state) return live.GetValueOrDefault(name);
    }

    private IReadOnlyList<(DeploymentState Deployment, ReplicaState Replica)> PlacedAt(InferenceSeat seat)
    {
        lock (state)
        {
            return
            [
                .. live.Values.OrderBy(deployment => deployment.Row.CreatedAt)
                    .SelectMany(deployment => deployment.Replicas.Where(replica => replica.Seat == seat).Select(replica => (deployment, replica))),
            ];
        }
    }

    private string NameOfLoad(string name) => $"{name}#{Interlocked.Increment(ref loads)}";

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

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "deployment {Name} serves {Artifact}, loaded in inference worker {Worker} in {Seconds:F2} s")]
        public static partial void Loaded(ILogger logger, string name, string artifact, int worker, double seconds);

        [LoggerMessage(2, LogLevel.Warning, "inference worker {Worker} was not told that deployment {Name} needs less of it: {Reason}")]
        public static partial void NotUnloaded(ILogger logger, string name, int worker, string reason);

        [LoggerMessage(3, LogLevel.Information, "{Model} serves {Artifact}")]
        public static partial void AdapterLoaded(ILogger logger, string model, string artifact);
    }
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
