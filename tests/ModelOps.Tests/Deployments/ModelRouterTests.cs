using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using ModelOps.Inference;

namespace ModelOps.Tests.Deployments;

public sealed class ModelRouterTests
{
    private static readonly GenerationRequest request = new() { Model = "m:a", Input = new GenerationInput.Prompt("x"), Sampling = new() { Seed = 1 } };

    [Fact]
    public async Task GenerateAsync_WhileTheBackendIsDown_SaysSoAndIsMeasured()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var durations = new List<Dictionary<string, object?>>();
        var units = new Dictionary<string, string?>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name != InferenceMetrics.MeterName) return;
                units[instrument.Name] = instrument.Unit;
                self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
        {
            if (instrument.Name == "modelops.inference.request.duration") durations.Add(tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value, StringComparer.Ordinal));
        });
        listener.Start();
        using var measured = new InferenceMetrics(services.GetRequiredService<IMeterFactory>(), TimeProvider.System);
        var router = new ModelRouter(measured);
        var backend = new ReplicaBackend();
        backend.Hold("m is loading");
        router.Set("m:a", new ModelRoute(backend, "m") { Adapter = "a" });

        Assert.Empty(router.List());
        var down = await Assert.ThrowsAsync<InferenceException>(async () => await router.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken));
        Assert.Equal((InferenceError.Unavailable, "m is loading"), (down.Error, down.Message));
        Assert.Equal("s", units["modelops.inference.time_to_first_token"]);
        var tags = Assert.Single(durations);
        Assert.Equal(("m", "a", "Unavailable"), (tags["model"], tags["adapter"], tags["error.type"]));
    }

    [Fact]
    public void GenerateAsync_OfAModelThatNobodyDeployed_SaysThatThereIsNone()
    {
        var unknown = Assert.Throws<InferenceException>(() => new ModelRouter().GenerateAsync(request, TestContext.Current.CancellationToken));
        Assert.Equal(InferenceError.ModelNotFound, unknown.Error);
    }
}
