using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Registry;
using ModelOps.Server.Hosting;
using ModelOps.Server.Jobs;
using ModelOps.Server.Telemetry;
using ModelOps.Tests.EndToEnd;
using ModelOps.Workflows;

namespace ModelOps.Tests.Telemetry;

/// <summary>The spans that a server keeps: bounded, never in anybody's way.</summary>
public sealed class SpanStoreTests : IAsyncLifetime
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";
    private static readonly DateTimeOffset start = TimeProvider.System.GetUtcNow().AddHours(-2);
    private readonly ServerHome home = ServerHome.Open(TestServer.NewHome());
    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await services.DisposeAsync();
        home.Dispose();
        Directory.Delete(home.Root, recursive: true);
    }

    [Fact]
    public async Task Add_ABeginningAndItsEnd_KeepsTheEndWhicheverComesFirst()
    {
        await using var store = await StartAsync(new TelemetryOptions());
        var (first, second) = (Span(1), Span(2));
        store.Store.Add(first with { EndedAt = null });
        store.Store.Add(first);
        Assert.Equal([first.EndedAt], (await store.Store.ReadAsync(Trace, Cancel)).Select(span => span.EndedAt));
        store.Store.Add(second);
        Assert.Equal(2, (await store.Store.ReadAsync(Trace, Cancel)).Count);
        store.Store.Add(second with { EndedAt = null }); // told late
        var read = await store.Store.ReadAsync(Trace, Cancel);
        Assert.Equal([first.SpanId, second.SpanId], read.Select(span => span.SpanId));
        Assert.All(read, span => Assert.NotNull(span.EndedAt));
        Assert.Equal(7, read[0].Attributes["number"].GetInt32());
        Assert.Empty(await store.Store.ReadAsync(new string('1', 32), Cancel));
    }

    [Fact]
    public async Task Start_WithOldSpansAndTooMany_LetsTheOldestGo()
    {
        await using (var store = await StartAsync(new TelemetryOptions()))
        {
            store.Store.Add(Span(1) with { StartedAt = TimeProvider.System.GetUtcNow().AddDays(-8) });
            for (var number = 2; number <= 4000; number++) store.Store.Add(Span(number) with { StartedAt = TimeProvider.System.GetUtcNow().AddSeconds(number - 5000), Name = new string('x', 1000) });
            Assert.Equal(4000 - 1, (await store.Store.ReadAsync(Trace, Cancel)).Count(span => span.Name.Length == 1000));
        }
        await using (var store = await StartAsync(new TelemetryOptions { TraceSize = 1 << 20 }))
        {
            store.Store.Add(Span(4001) with { StartedAt = TimeProvider.System.GetUtcNow() });
            var left = await store.Store.ReadAsync(Trace, Cancel);
            Assert.InRange(left.Count, 400, 1200);
            Assert.Equal($"{4001:x16}", left[^1].SpanId);
            Assert.Equal(Enumerable.Range(4001 - left.Count + 1, left.Count).Select(number => $"{number:x16}"), left.Select(span => span.SpanId));
        }
        Assert.InRange(new FileInfo(home.Traces).Length, 1, 2 << 20);
    }

    [Fact]
    public async Task Start_OnABrokenFile_BeginsAnew()
    {
        await File.WriteAllBytesAsync(home.Traces, [.. Enumerable.Range(0, 8192).Select(number => (byte)number)], Cancel);
        await using var store = await StartAsync(new TelemetryOptions());
        await Eventually.HoldsAsync(
            async () =>
            {
                store.Store.Add(Span(1));
                return File.Exists(home.Traces) && await CountAsync(store.Store) == 1;
            },
            Cancel);
    }

    [Fact]
    public async Task EndAsync_OfAJobThatOutlivedItsServer_EndsTheSpanThatTheOtherBegan()
    {
        await using var store = await StartAsync(new TelemetryOptions());
        var began = Span(9) with { EndedAt = null };
        store.Store.Add(began);
        var row = new JobRow
        {
            Id = "job-1",
            Kind = "sft",
            State = "failed",
            CreatedBy = "ada",
            Engine = "embedded",
            Input = "{}",
            CreatedAt = start,
            TraceParent = $"00-{Trace}-{began.SpanId}-01",
            FinishedAt = start.AddHours(1),
            ErrorType = "diverged",
            ErrorMessage = "the loss is no number",
        };
        await new JobTraces(store.Store, TimeProvider.System).EndAsync(row, Cancel);
        var ended = Assert.Single(await store.Store.ReadAsync(Trace, Cancel));
        Assert.Equal((row.FinishedAt, row.ErrorMessage, began.Name), (ended.EndedAt, ended.Error, ended.Name));
    }

    [Fact]
    public void Keeps_OfTenThousand_AFewDozenOfEachDoubling()
    {
        var kept = Enumerable.Range(0, 10_000).Where(Thinning.Keeps).ToList();
        Assert.Equal(Enumerable.Range(0, 32), kept.Take(32));
        Assert.InRange(kept.Count, 120, 200);
        Assert.True(kept[^1] > 9000);
    }

    private static async Task<int> CountAsync(SpanStore store)
    {
        try
        {
            return (await store.ReadAsync(Trace, Cancel)).Count;
        }
        catch (Microsoft.Data.Sqlite.SqliteException)
        {
            return 0; // not yet begun anew
        }
    }

    private static SpanRecord Span(int number) => new(
        Trace, $"{number:x16}", ParentId: null, $"span {number}", "internal", "server", start.AddSeconds(number), start.AddSeconds(number + 1), Error: null,
        new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["number"] = JsonElement.Parse("7") }, []);

    private async Task<Running> StartAsync(TelemetryOptions options)
    {
        var store = new SpanStore(home, options, services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>(), TimeProvider.System, NullLogger<SpanStore>.Instance);
        await store.StartAsync(Cancel);
        return new(store);
    }

    private sealed record Running(SpanStore Store) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Store.StopAsync(CancellationToken.None);
            Store.Dispose();
        }
    }
}
