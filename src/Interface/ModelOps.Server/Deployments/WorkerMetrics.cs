using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using ModelOps.Inference;
using ModelOps.Inference.Wire;

namespace ModelOps.Server.Deployments;

/// <summary>What the inference workers say of their models, as gauges and counters per worker and model.</summary>
public sealed class WorkerMetrics : IDisposable
{
    private readonly Meter meter;
    private readonly ConcurrentDictionary<int, StatusReply> latest = new();

    public WorkerMetrics(IMeterFactory meters)
    {
        meter = meters.Create($"{InferenceMetrics.MeterName}.Worker");
        meter.CreateObservableGauge("modelops.inference.queue.length", () => Each(model => model.Queued), "{request}", "Requests that wait for a slot.");
        meter.CreateObservableGauge("modelops.inference.slots.active", () => Each(model => model.Active), "{slot}", "Sequences that are being decoded.");
        meter.CreateObservableGauge("modelops.inference.memory.usage", () => Each(model => (long)model.MemoryBytes), "By", "Weights, caches and buffers; 0 while a model is not in memory.");
        meter.CreateObservableGauge("modelops.inference.memory.limit", () => latest.Select(worker => Measure((long)worker.Value.MemoryBudgetBytes, worker.Key)), "By", "What all models of a worker may take together.");
        meter.CreateObservableCounter("modelops.inference.cold_starts", () => Each(model => (long)model.ColdStarts), "{start}", "Times that a request waited for a model to come back into memory.");
        meter.CreateObservableCounter("modelops.inference.prefix_cache.hits", () => Each(model => (long)model.CachedPromptTokens), "{token}", "Prompt tokens that the prefix cache had.");
        meter.CreateObservableCounter("modelops.inference.prefix_cache.misses", () => Each(model => (long)model.PromptTokens), "{token}", "Prompt tokens that had to be read.");
    }

    /// <summary>What a worker says now.</summary>
    public void Set(int worker, StatusReply status) => latest[worker] = status;

    /// <summary>There is none of that number.</summary>
    public void Remove(int worker) => latest.TryRemove(worker, out _);

    /// <returns>Bytes that a model takes in a worker; 0 while it is not in memory, null if the worker has not told of it.</returns>
    /// <param name="model">What the worker calls it.</param>
    public long? MemoryOf(int worker, string model) =>
        latest.GetValueOrDefault(worker)?.Models.FirstOrDefault(status => status.Name == model) is { } found ? (long)found.MemoryBytes : null;

    /// <returns>Requests that wait for a slot of a deployment, and sequences that are being decoded, in all workers.</returns>
    public (int Queued, int Active) LoadOf(string deployment)
    {
        var models = latest.Values.SelectMany(status => status.Models).Where(model => model.Title == deployment).ToList();
        return (models.Sum(model => (int)model.Queued), models.Sum(model => (int)model.Active));
    }

    public void Dispose() => meter.Dispose();

    // One that is being replaced and the one in its place are one model.
    private IEnumerable<Measurement<long>> Each(Func<ModelStatus, long> value) => latest.SelectMany(worker => worker.Value.Models.GroupBy(
        model => model.Title, (title, models) => Measure(models.Sum(value), worker.Key, new KeyValuePair<string, object?>("model", title)), StringComparer.Ordinal));

    private static Measurement<long> Measure(long value, int worker, params KeyValuePair<string, object?>[] tags) =>
        new(value, [.. tags, new KeyValuePair<string, object?>("worker", worker)]);
}
