using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
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
    public async Task Recent_OfGenerations_AreTheLastFiveMinutesInSteps()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var clock = new HandClock();
        using var measured = new InferenceMetrics(services.GetRequiredService<IMeterFactory>(), clock);
        var router = new ModelRouter(measured);
        router.Set("m:a", new ModelRoute(new TimedBackend(clock), "m") { Adapter = "a" });
        var answer = router.GenerateAsync(request, TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        await answer.MoveNextAsync();
        Assert.Equal(1, measured.Recent.Get("m", "a").Active);
        while (await answer.MoveNextAsync())
        {
            // To its end.
        }
        await answer.DisposeAsync();

        var recent = measured.Recent.Get("m", "a");
        Assert.Equal((0, 1L, 0L, new TokenUsage(8, 50, 6)), (recent.Active, recent.Ended, recent.Failed, recent.Tokens));
        Assert.InRange(recent.TimeToFirstToken!.P95.TotalMilliseconds, 190, 210);
        Assert.InRange(recent.InterToken!.Median.TotalMilliseconds, 9.5, 10.5);
        Assert.InRange(recent.TokensPerSecond, 50 / 15.0, 50 / 10.0);
        Assert.Equal(0, measured.Recent.Get("m", adapter: null).Ended);

        clock.Advance(TimeSpan.FromSeconds(RecentGenerations.StepSeconds));
        var steps = measured.Recent.Get("m", "a").Steps;
        Assert.Equal((60, 10.0), (steps.Count, steps[^1].TokensPerSecond)); // 50 tokens in a step of 5 s
        Assert.InRange(steps[^1].TimeToFirstToken!.Value.TotalMilliseconds, 190, 210);
        Assert.All(steps.SkipLast(1), step => Assert.Equal((0.0, null), (step.TokensPerSecond, step.TimeToFirstToken)));
        clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal((0L, null), (measured.Recent.Get("m", "a").Ended, measured.Recent.Get("m", "a").TimeToFirstToken));
    }

    [Fact]
    public void GenerateAsync_OfAModelThatNobodyDeployed_SaysThatThereIsNone()
    {
        var unknown = Assert.Throws<InferenceException>(() => new ModelRouter().GenerateAsync(request, TestContext.Current.CancellationToken));
        Assert.Equal(InferenceError.ModelNotFound, unknown.Error);
    }

    /// <summary>Begins where a step does.</summary>
    private sealed class HandClock : TimeProvider
    {
        private TimeSpan now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddDays(20_000) + now;

        public override long GetTimestamp() => now.Ticks;

        public void Advance(TimeSpan by) => now += by;
    }

    /// <summary>50 tokens, by a clock: the first after 200 ms, each other after 10.</summary>
    private sealed class TimedBackend(HandClock clock) : IInferenceBackend
    {
        public async IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            for (var i = 0; i < 50; i++)
            {
                clock.Advance(TimeSpan.FromMilliseconds(i == 0 ? 200 : 10));
                yield return await Task.FromResult(new GenerationPiece("x"));
            }
            yield return new GenerationPiece("", FinishReason.Stop, new TokenUsage(8, 50, 6));
        }

        public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
