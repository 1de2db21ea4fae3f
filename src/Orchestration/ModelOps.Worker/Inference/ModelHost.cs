using System.Diagnostics;
using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.Registry;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>
/// The models of this process by name, within a budget of memory. One that nobody uses leaves for another, the least recently used
/// first, or after its keep-alive; its next request brings it back. One that answers never leaves.
/// </summary>
internal sealed partial class ModelHost(ServedFiles files, WorkerOptions options, TimeProvider time, ILogger<ModelHost> logger) : IAsyncDisposable
{
    private readonly Dictionary<string, HostedModel> models = new(StringComparer.Ordinal);
    private readonly Lock gate = new();
    private readonly SemaphoreSlim loads = new(1); // one at a time: each may take what another would

    /// <summary>Verifies and loads a model with its adapters.</summary>
    /// <exception cref="RpcException">It does not verify, cannot be loaded, or takes more memory than there may be.</exception>
    public async Task<LoadedModel> LoadAsync(ModelSpec spec, CancellationToken cancellationToken)
    {
        var (file, adapters) = await FilesAsync(spec, FileChecks.EveryByte, cancellationToken);
        var estimate = Estimate(spec, file);
        ThrowIfTooLarge(spec, estimate);
        await loads.WaitAsync(cancellationToken);
        try
        {
            lock (gate) ThrowIfTaken(spec.Name);
            var loaded = await BringInAsync(spec, file, adapters, estimate, cancellationToken);
            var hosted = new HostedModel(spec, loaded, time.GetTimestamp());
            hosted.Timer = time.CreateTimer(_ => LeaveWhenIdle(hosted), state: null, spec.KeepAlive ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            lock (gate) models.Add(spec.Name, hosted);
            return loaded;
        }
        finally
        {
            loads.Release();
        }
    }

    /// <summary>Requests under way are finished first.</summary>
    public async Task UnloadAsync(string name)
    {
        HostedModel? removed;
        lock (gate)
        {
            if (!models.Remove(name, out removed)) return;
            models.Values.FirstOrDefault(heir => heir.Replaces == name)?.Inherit(removed);
        }
        await RetireAsync(removed);
    }

    /// <exception cref="RpcException">No such model, or the adapter does not verify or fit.</exception>
    public async Task LoadAdapterAsync(string model, string adapter, PinnedArtifact artifact, CancellationToken cancellationToken)
    {
        var file = await files.AdapterAsync(artifact, FileChecks.EveryByte, cancellationToken);
        await using var lease = await AcquireAsync(model, cancellationToken);
        await AddAsync(lease.Model, adapter, artifact, file, cancellationToken);
        lock (gate) lease.Hosted.Adapters[adapter] = artifact;
    }

    public void UnloadAdapter(string model, string adapter)
    {
        lock (gate)
        {
            if (!models.TryGetValue(model, out var hosted)) return;
            hosted.Adapters.Remove(adapter);
            hosted.Loaded?.Generator?.UnloadAdapter(adapter);
        }
    }

    /// <summary>The model, in memory until the lease is disposed; brings it back where it left.</summary>
    /// <exception cref="RpcException">There is no such model, or every model that it would take the place of answers now.</exception>
    public async Task<ModelLease> AcquireAsync(string name, CancellationToken cancellationToken)
    {
        if (TryAcquire(name) is { } ready) return ready;
        var clock = Stopwatch.StartNew();
        await loads.WaitAsync(cancellationToken);
        try
        {
            if (TryAcquire(name) is { } meanwhile) return meanwhile with { ColdStart = clock.Elapsed };
            ModelSpec spec;
            long size;
            lock (gate) (spec, size) = (Find(name).Wanted, Find(name).Size);
            var (file, adapters) = await FilesAsync(spec, FileChecks.Remembered, cancellationToken);
            var loaded = await BringInAsync(spec, file, adapters, size, cancellationToken);
            lock (gate)
            {
                if (models.GetValueOrDefault(name) is { } hosted)
                {
                    hosted.Loaded = loaded;
                    hosted.ColdStarts++;
                    Log.Back(logger, hosted.Title, clock.Elapsed.TotalSeconds);
                    return Lease(hosted, loaded) with { ColdStart = clock.Elapsed };
                }
            }
            await loaded.DisposeAsync(); // removed meanwhile
            throw NotLoaded(name);
        }
        finally
        {
            loads.Release();
        }
    }

    public IReadOnlyList<ModelState> List()
    {
        lock (gate)
            return [.. models.Values.Select(hosted => new ModelState(hosted.Name, hosted.Title, hosted.Loaded?.Memory ?? 0, hosted.Loaded is not null, hosted.ColdStarts, [.. hosted.Adapters.Keys.Order(StringComparer.Ordinal)], hosted.Statistics))];
    }

    public async ValueTask DisposeAsync()
    {
        List<HostedModel> all;
        lock (gate)
        {
            all = [.. models.Values];
            models.Clear();
        }
        foreach (var hosted in all)
        {
            hosted.Timer?.Dispose();
            if (hosted.Loaded is not null) await hosted.Loaded.DisposeAsync();
        }
        loads.Dispose();
    }

    // Under the gate.
    private void ThrowIfTaken(string name)
    {
        if (models.ContainsKey(name)) throw new RpcException(new Status(StatusCode.FailedPrecondition, $"there is a model '{name}' already; every load has a name of its own"));
    }

    private ModelLease? TryAcquire(string name)
    {
        lock (gate)
        {
            var hosted = Find(name);
            return hosted.Loaded is { } loaded ? Lease(hosted, loaded) : null;
        }
    }

    // Under the gate.
    private HostedModel Find(string name) => models.TryGetValue(name, out var hosted) ? hosted : throw NotLoaded(name);

    // Under the gate.
    private ModelLease Lease(HostedModel hosted, LoadedModel loaded)
    {
        hosted.Active++;
        return new ModelLease(hosted, loaded, () => ReleaseAsync(hosted));
    }

    private ValueTask ReleaseAsync(HostedModel hosted)
    {
        LoadedModel? leaving = null;
        lock (gate)
        {
            hosted.LastUsed = time.GetTimestamp();
            if (--hosted.Active > 0) return ValueTask.CompletedTask;
            if (hosted.IsRetired) leaving = hosted.Leave();
            else if (hosted.KeepAlive is { } keepAlive) hosted.Timer!.Change(keepAlive, Timeout.InfiniteTimeSpan);
        }
        return leaving?.DisposeAsync() ?? ValueTask.CompletedTask;
    }

    /// <summary>Frees it now, or with the last request that runs on it.</summary>
    private async Task RetireAsync(HostedModel hosted)
    {
        LoadedModel? leaving = null;
        lock (gate)
        {
            hosted.IsRetired = true;
            hosted.Timer?.Dispose();
            if (hosted.Active == 0) leaving = hosted.Leave();
        }
        if (leaving is not null) await leaving.DisposeAsync();
    }

    private void LeaveWhenIdle(HostedModel hosted)
    {
        LoadedModel? leaving;
        lock (gate)
        {
            if (hosted.Active > 0 || hosted.IsRetired || hosted.KeepAlive is not { } keepAlive) return;
            if (time.GetElapsedTime(hosted.LastUsed) is var idle && idle < keepAlive)
            {
                hosted.Timer!.Change(keepAlive - idle, Timeout.InfiniteTimeSpan);
                return;
            }
            leaving = hosted.Leave();
        }
        if (leaving is null) return;
        Log.Left(logger, hosted.Title, "nobody used it for its keep-alive");
        _ = leaving.DisposeAsync().AsTask(); // waits for the engine's last step, in which nothing is left to do
    }

    /// <param name="need">Bytes, as far as they are known before it is loaded.</param>
    private async Task<LoadedModel> BringInAsync(
        ModelSpec spec, string file, IReadOnlyDictionary<string, string> adapters, long need, CancellationToken cancellationToken)
    {
        using var span = WorkerSpans.Source.StartActivity("load weights");
        span?.SetTag(SpanAttributes.Artifact, spec.Artifact.ToString());
        await MakeRoomAsync(spec, need);
        var loaded = await Task.Run(() => LoadedModel.LoadAsync(file, spec, options.Threads, logger), cancellationToken);
        try
        {
            // Only now is it known what buffers the engine takes.
            ThrowIfTooLarge(spec, loaded.Memory);
            await MakeRoomAsync(spec, loaded.Memory);
            foreach (var (name, path) in adapters) await AddAsync(loaded, name, spec.Adapters[name], path, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested(); // whoever does not wait for it any longer has unloaded it
            return loaded;
        }
        catch
        {
            await loaded.DisposeAsync();
            throw;
        }
    }

    private static async Task AddAsync(LoadedModel loaded, string name, PinnedArtifact artifact, string file, CancellationToken cancellationToken)
    {
        if (loaded.Generator is not { } engine)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{artifact} cannot be served: the model continues no texts"));
        try
        {
            await engine.LoadAdapterAsync(name, file, cancellationToken);
        }
        catch (GgmlException e)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{artifact} cannot be served: {e.Message}"));
        }
    }

    private async Task MakeRoomAsync(ModelSpec spec, long need)
    {
        while (true)
        {
            HostedModel leaver;
            LoadedModel leaving;
            lock (gate)
            {
                var others = models.Values.Where(hosted => hosted.Loaded is not null && hosted.Name != spec.Replaces).ToList();
                var used = others.Sum(hosted => hosted.Loaded!.Memory);
                if (used + need <= options.ModelMemory) return;
                leaver = others.Where(hosted => hosted.Active == 0).MinBy(hosted => hosted.LastUsed)
                    ?? throw new RpcException(new Status(
                        StatusCode.ResourceExhausted,
                        $"{spec.Title} needs {ModelMemory.Text(need)} of memory, and models that answer now have {ModelMemory.Text(used)} of the "
                        + $"{ModelMemory.Text(options.ModelMemory)} of inference:memory_budget; try again later"));
                leaving = leaver.Leave()!;
            }
            Log.Left(logger, leaver.Title, $"{spec.Title} needs its memory");
            await leaving.DisposeAsync();
        }
    }

    private async Task<(string Model, IReadOnlyDictionary<string, string> Adapters)> FilesAsync(ModelSpec spec, FileChecks checks, CancellationToken cancellationToken)
    {
        using var span = WorkerSpans.Source.StartActivity("verify artifacts");
        span?.SetTag(SpanAttributes.Artifact, spec.Artifact.ToString());
        var model = await files.ModelAsync(spec.Artifact, checks, cancellationToken);
        var adapters = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, artifact) in spec.Adapters) adapters[name] = await files.AdapterAsync(artifact, checks, cancellationToken);
        return (model, adapters);
    }

    private void ThrowIfTooLarge(ModelSpec spec, long need)
    {
        if (need <= options.ModelMemory) return;
        throw new RpcException(new Status(
            StatusCode.FailedPrecondition,
            $"{spec.Artifact} needs {ModelMemory.Text(need)} of memory for its weights, caches and buffers; inference:memory_budget is "
            + $"{ModelMemory.Text(options.ModelMemory)}: choose fewer slots, a smaller context or a smaller quantization, or raise the budget"));
    }

    private static long Estimate(ModelSpec spec, string file)
    {
        try
        {
            return ModelMemory.Estimate(file, spec.ContextSize ?? LoadedModel.DefaultContext, spec.Slots ?? EngineOptions.DefaultSlots);
        }
        catch (InvalidModelFileException e)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{spec.Artifact} cannot be served: {e.Message}"));
        }
    }

    private static RpcException NotLoaded(string name) => new(new Status(StatusCode.NotFound, $"the model '{name}' is not loaded"));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "the model {Name} left memory: {Reason}")]
        public static partial void Left(ILogger logger, string name, string reason);

        [LoggerMessage(2, LogLevel.Information, "the model {Name} is back in memory after {Seconds:F2} s")]
        public static partial void Back(ILogger logger, string name, double seconds);
    }
}

/// <param name="Memory">Bytes; 0 while it is not in memory.</param>
/// <param name="Statistics">Since its deployment.</param>
internal sealed record ModelState(string Name, string Title, long Memory, bool InMemory, long ColdStarts, IReadOnlyList<string> Adapters, EngineStatistics Statistics);

/// <summary>A model that stays in memory until this is disposed.</summary>
internal sealed record ModelLease(HostedModel Hosted, LoadedModel Model, Func<ValueTask> Release) : IAsyncDisposable
{
    /// <summary>The deployment's name.</summary>
    public string Title => Hosted.Title;

    /// <summary>How long the request waited for the model to come back; zero if it was there.</summary>
    public TimeSpan ColdStart { get; init; }

    public ValueTask DisposeAsync() => Release();
}
