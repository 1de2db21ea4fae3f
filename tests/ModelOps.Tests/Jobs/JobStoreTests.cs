using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Testing;
using ModelOps.Tests.Gateway;
using ModelOps.Workflows;

namespace ModelOps.Tests.Jobs;

/// <summary>The store of jobs on each database: pages and filters, the log, quotas.</summary>
public abstract class JobStoreTests : IAsyncLifetime
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly string home = Directory.CreateTempSubdirectory("modelops-jobs-").FullName;
    private readonly ManualTime time = new(new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private MetadataDatabase database = null!;

    private protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private protected abstract Task<MetadataOptions> OptionsAsync();

    public async ValueTask InitializeAsync()
    {
        database = MetadataDatabase.Open(await OptionsAsync(), Path.Combine(home, "metadata.db"));
        await database.MigrateAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await database.DisposeAsync();
        Directory.Delete(home, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task ListAsync_FiltersAndPages_GiveEachJobOnceNewestFirst()
    {
        var store = Store(new JobQuotas());
        var ids = new List<string>();
        foreach (var kind in (string[])["sft", "ingestion", "sft", "quantization", "sft"]) ids.Insert(0, (await CreatedAsync(store, "ada", kind)).Id);
        await store.ApplyAsync(ids[4], new JobChange(new JobRun(1, TraceParent: null), JobPhase.Started), result: null, Cancel);
        await store.ApplyAsync(ids[2], new JobChange(new JobRun(1, TraceParent: null), JobPhase.Canceled), result: null, Cancel);

        var first = await store.ListAsync(new JobQuery([], Kind: null, Before: null, Limit: 3), Cancel);
        var second = await store.ListAsync(new JobQuery([], Kind: null, first[^1].Id, Limit: 3), Cancel);
        Assert.Equal(ids, first.Concat(second).Select(job => job.Id));
        Assert.Equal([ids[0], ids[2], ids[4]], await IdsAsync([], "sft"));
        Assert.Equal([ids[2], ids[4]], await IdsAsync([JobState.Running, JobState.Canceled], kind: null));
        Assert.Equal([ids[0]], await IdsAsync([JobState.Queued], "sft"));

        async Task<IEnumerable<string>> IdsAsync(JobState[] states, string? kind) =>
            (await store.ListAsync(new JobQuery(states, kind, Before: null, Limit: 10), Cancel)).Select(job => job.Id);
    }

    [Fact]
    public async Task CreateAsync_InOneMillisecondAndWithTheClockSetBack_KeepsTheOrder()
    {
        var store = Store(new JobQuotas());
        var ids = new List<string>();
        foreach (var jump in (int[])[0, 0, -3600, 0, 3600, 1, 0])
        {
            time.Advance(TimeSpan.FromSeconds(jump));
            ids.Insert(0, (await CreatedAsync(store, "ada", "sft")).Id);
        }
        Assert.Equal(ids, (await store.ListAsync(new JobQuery([], Kind: null, Before: null, Limit: 10), Cancel)).Select(job => job.Id));
        Assert.All(ids, id => Assert.Equal(7, Guid.ParseExact(id["job-".Length..], "N").Version));
    }

    [Fact]
    public async Task ReadLogAsync_ByLevelPlaceAndEnd_GivesTheLinesInOrder()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c", Span = "b7ad6b7169203331";
        var store = Store(new JobQuotas());
        var job = await CreatedAsync(store, "ada", "sft");
        var at = new DateTimeOffset(2026, 3, 1, 12, 0, 0, 7, TimeSpan.Zero);
        await store.LogAsync(job.Id, "TrainAdapter", 1, [new(at, "Information", "a"), new(at, "Warning", "b"), new(at, "Whisper", "c")], Cancel);
        await store.LogAsync(job.Id, "TrainAdapter", 2, [new(at, "Error", "d", Trace, Span), new(at, "Debug", "e")], Cancel);

        var all = await store.ReadLogAsync(job.Id, new JobLogQuery(0, 10, LogLevel.Trace), Cancel);
        Assert.Equal(["a", "b", "c", "d", "e"], all.Select(line => line.Text));
        Assert.Equal(
            [JobLogLevel.Info, JobLogLevel.Warning, JobLogLevel.Info, JobLogLevel.Error, JobLogLevel.Debug], all.Select(line => line.Level));
        Assert.Equal(new JobLogEntry { Sequence = 4, At = at, Level = JobLogLevel.Error, Step = "TrainAdapter", Attempt = 2, TraceId = Trace, SpanId = Span, Text = "d" }, all[3]);
        Assert.Equal("bd", await TextsAsync(new JobLogQuery(0, 10, LogLevel.Warning)));
        Assert.Equal("cd", await TextsAsync(new JobLogQuery(2, 2, LogLevel.Trace)));
        Assert.Equal("cd", await TextsAsync(new JobLogQuery(0, 2, LogLevel.Information, Last: true)));
        Assert.Equal("d", await TextsAsync(new JobLogQuery(0, 10, LogLevel.Trace, Trace)));
        Assert.Equal("", await TextsAsync(new JobLogQuery(4, 10, LogLevel.Trace, Trace)));

        async Task<string> TextsAsync(JobLogQuery query) => string.Concat((await store.ReadLogAsync(job.Id, query, Cancel)).Select(line => line.Text));
    }

    [Fact]
    public async Task FollowLogAsync_JobThatEnds_GivesEveryLineAndEndsWithIt()
    {
        var store = Store(new JobQuotas());
        var job = await CreatedAsync(store, "ada", "sft");
        await LogAsync("before");
        var lines = store.FollowLogAsync(job.Id, 0, LogLevel.Trace, trace: null, Cancel).GetAsyncEnumerator(Cancel);
        await using (lines)
        {
            Assert.Equal("before", await NextAsync());
            var next = NextAsync();
            Assert.False(next.IsCompleted);
            await LogAsync("while");
            Assert.Equal("while", await next.WaitAsync(patience, Cancel));
            next = NextAsync();
            await LogAsync("last");
            await store.ApplyAsync(job.Id, new JobChange(new JobRun(1, TraceParent: null), JobPhase.Failed), result: null, Cancel);
            Assert.Equal("last", await next.WaitAsync(patience, Cancel));
            Assert.Equal("the job is failed", await NextAsync().WaitAsync(patience, Cancel));
            Assert.Null(await NextAsync().WaitAsync(patience, Cancel));
        }

        Task LogAsync(string text) => store.LogAsync(job.Id, "TrainAdapter", 1, [new(DateTimeOffset.UnixEpoch, "Information", text)], Cancel);
        async Task<string?> NextAsync() => await lines.MoveNextAsync() ? lines.Current.Text : null;
    }

    [Fact]
    public async Task CreateAsync_TenAtOnceForThreePlaces_ThreePassAndTheOthersAreToldWhy()
    {
        var store = Store(new JobQuotas { Unfinished = 3 });
        var created = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => CreateAsync(store, "ada", "sft"), Cancel))).WaitAsync(patience, Cancel);
        Assert.Equal(3, created.OfType<JobCreation.Created>().Count());
        Assert.All(created.OfType<JobCreation.OverQuota>(), over => Assert.Equal(
            "ada has 3 unfinished jobs, and jobs:quotas:unfinished allows 3; wait until one ends, cancel one, or ask an administrator for more", over.Reason));

        // Others have places of their own, and who is not held to quotas passes.
        await CreatedAsync(store, "bob", "sft");
        Assert.IsType<JobCreation.Created>(await CreateAsync(store, "ada", "sft", overQuota: true));
    }

    [Fact]
    public async Task CreateAsync_QuotaOfAKind_CountsUnfinishedJobsOfItOnly()
    {
        var store = Store(new JobQuotas { Unfinished = 3, UnfinishedOfKind = new Dictionary<string, int> { ["sft"] = 1 } });
        var first = await CreatedAsync(store, "ada", "sft");
        await CreatedAsync(store, "ada", "quantization");
        var refused = Assert.IsType<JobCreation.OverQuota>(await CreateAsync(store, "ada", "sft"));
        Assert.StartsWith("ada has 1 unfinished job of the kind sft, and jobs:quotas:unfinished_of_kind:sft allows 1;", refused.Reason, StringComparison.Ordinal);

        await store.ApplyAsync(first.Id, new JobChange(new JobRun(1, TraceParent: null), JobPhase.Canceled), result: null, Cancel);
        await CreatedAsync(store, "ada", "sft");

        // What is run again needs a place as well.
        Assert.StartsWith("ada has 1 unfinished job of the kind sft", Assert.IsType<JobRetry.OverQuota>(await store.RetryAsync(first.Id, "embedded", overQuota: false, Cancel)).Reason, StringComparison.Ordinal);
        Assert.Equal(JobState.Canceled, (await store.GetAsync(first.Id, Cancel))!.State);
        Assert.IsType<JobRetry.Retried>(await store.RetryAsync(first.Id, "embedded", overQuota: true, Cancel));
        Assert.IsType<JobRetry.NotEnded>(await store.RetryAsync(first.Id, "embedded", overQuota: true, Cancel));
    }

    [Fact]
    public void Quotas_WithFaults_NameThemAll()
    {
        var quotas = new JobQuotas { UnfinishedOfKind = new Dictionary<string, int> { ["stf"] = 1, ["sft"] = -1 } };
        Assert.Equal(
            ["there is no kind of jobs 'stf'; there are ingestion, sft, pretraining, training_plan, quantization, evaluation, fine_tuning", "sft is -1; allowed is 0 to 1000000"],
            quotas.Validate(new ValidationContext(quotas)).Select(fault => fault.ErrorMessage));
    }

    private JobStore Store(JobQuotas quotas) => new(database, new JobNews(Timeout.InfiniteTimeSpan, TimeProvider.System), quotas, time);

    private static Task<JobCreation> CreateAsync(JobStore store, string user, string kind, bool overQuota = false) =>
        store.CreateAsync(new NewJob(kind, JsonElement.Parse("{}"), JobPriority.High, user, "embedded", overQuota), Cancel);

    private static async Task<Job> CreatedAsync(JobStore store, string user, string kind)
    {
        var job = Assert.IsType<JobCreation.Created>(await CreateAsync(store, user, kind)).Job;
        Assert.Equal(JobPriority.High, job.Priority);
        return job;
    }
}

public sealed class JobStoreOnSqliteTests : JobStoreTests
{
    private protected override Task<MetadataOptions> OptionsAsync() => Task.FromResult(new MetadataOptions());
}

public sealed class JobStoreOnPostgreSqlTests : JobStoreTests
{
    private protected override async Task<MetadataOptions> OptionsAsync()
    {
        PostgresServer.RequireOne();
        return new() { Provider = MetadataOptions.PostgreSql, ConnectionString = await (await PostgresServer.OfRunAsync()).CreateDatabaseAsync(Cancel) };
    }
}
