using System.Diagnostics.Metrics;
using ModelOps.Inference;
using ModelOps.Inference.Wire;

namespace ModelOps.Server.Deployments;

/// <summary>What the inference worker says of its models, as gauges and counters per model.</summary>
public sealed class WorkerMetrics : IDisposable
{
    private readonly Meter meter;
    private volatile StatusReply latest = new();

    public WorkerMetrics(IMeterFactory meters)
    {
        meter = meters.Create($"{InferenceMetrics.MeterName}.Worker");
        meter.CreateObservableGauge("modelops.inference.queue.length", () => Each(model => model.Queued), "{request}", "Requests that wait for a slot.");
        meter.CreateObservableGauge("modelops.inference.slots.active", () => Each(model => model.Active), "{slot}", "Sequences that are being decoded.");
        meter.CreateObservableGauge("modelops.inference.memory.usage", () => Each(model => (long)model.MemoryBytes), "By", "Weights, caches and buffers; 0 while a model is not in memory.");
        meter.CreateObservableGauge("modelops.inference.memory.limit", () => (long)latest.MemoryBudgetBytes, "By", "What all models may take together.");
        meter.CreateObservableCounter("modelops.inference.cold_starts", () => Each(model => (long)model.ColdStarts), "{start}", "Times that a request waited for a model to come back into memory.");
        meter.CreateObservableCounter("modelops.inference.prefix_cache.hits", () => Each(model => (long)model.CachedPromptTokens), "{token}", "Prompt tokens that the prefix cache had.");
        meter.CreateObservableCounter("modelops.inference.prefix_cache.misses", () => Each(model => (long)model.PromptTokens), "{token}", "Prompt tokens that had to be read.");
    }

    /// <summary>The worker's word of last time; empty while there is no worker.</summary>
    public StatusReply Latest
    {
        get => latest;
        set => latest = value;
    }

    public void Dispose() => meter.Dispose();

    private IEnumerable<Measurement<long>> Each(Func<ModelStatus, long> value) =>
        latest.Models.Select(model => new Measurement<long>(value(model), new KeyValuePair<string, object?>("model", model.Name)));
}
