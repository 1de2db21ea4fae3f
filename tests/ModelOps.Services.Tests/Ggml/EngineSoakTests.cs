using ModelOps.Benchmarks.Engine;

namespace ModelOps.Services.Tests.Ggml;

public sealed class EngineSoakTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    [Fact]
    public async Task Soak_TenSecondsOfMixedLoad_LeavesNothingStuckAndNoErrorUnplanned()
    {
        var adapters = Enumerable.Range(0, 2).Select(seed =>
        {
            var path = fixture.InFolder($"adapter-{seed}.gguf");
            new TinyAdapter { Seed = seed }.Write(path, fixture.ModelPath);
            return path;
        }).ToArray();

        var report = await new EngineSoak(fixture.Model, adapters).RunAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

        Assert.Empty(report.Errors);
        Assert.Equal(0, report.StuckSlots);
        foreach (var outcome in new[] { "short: done", "long: done", "constrained: done", "adapter: done", "cancelled: OperationCanceledException", "malformed: ArgumentException", "adapters switched" })
            Assert.True(report.Outcomes.GetValueOrDefault(outcome) > 0, $"no '{outcome}' among {string.Join(", ", report.Outcomes)}");
    }
}
