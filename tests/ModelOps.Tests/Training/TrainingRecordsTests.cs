using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Server.Training;
using ModelOps.Storage;
using ModelOps.Testing;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Gateway;
using ModelOps.Workflows;

namespace ModelOps.Tests.Training;

/// <summary>Series of metrics and checkpoints as the server keeps them, on both databases.</summary>
public sealed class TrainingRecordsTests : IDisposable
{
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(home, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Metrics_StepsDoneAgain_ReplaceWhatTheyLeftAndNothingElse(bool postgres)
    {
        await using var database = await OpenAsync(postgres);
        var job = await CreateJobAsync(Jobs(database, TimeProvider.System));
        var metrics = new JobMetrics(database);

        await metrics.AddAsync(job, [Point(0, ("validation_loss", 9)), .. Enumerable.Range(1, 6).Select(step => Point(step, ("loss", step), ("grad_norm", 1)))], Cancel);
        await metrics.AddAsync(job, [Point(6, ("validation_loss", 5))], Cancel);
        await metrics.AddAsync(job, [Point(3, ("loss", 30)), Point(5, ("loss", 50)), Point(6, ("loss", 60)), Point(6, ("loss", 61)), Point(7, ("loss", 70))], Cancel);
        await metrics.AddAsync("job-that-is-gone", [Point(1, ("loss", 1))], Cancel);

        var series = (await metrics.ReadAsync(job, [], after: -1, most: null, Cancel)).ToDictionary(one => one.Name, one => one.Points);
        Assert.Equal([(1, 1), (2, 2), (3, 30), (4, 4), (5, 50), (6, 61), (7, 70)], series["loss"].Select(point => (point.Step, point.Value)));
        Assert.Equal([(0, 9), (6, 5)], series["validation_loss"].Select(point => (point.Step, point.Value)));
        Assert.Equal(6, series["grad_norm"].Count);
        Assert.Equal(5, await metrics.LowestAsync(job, "validation_loss", Cancel));
        Assert.Null(await metrics.LowestAsync(job, "nothing", Cancel));
        Assert.Empty(await metrics.ReadAsync("job-that-is-gone", [], after: -1, most: null, Cancel));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Samples_StepsMeasuredAgain_ReplaceWhatTheyLeftAndComeByStep(bool postgres)
    {
        await using var database = await OpenAsync(postgres);
        var job = await CreateJobAsync(Jobs(database, TimeProvider.System));
        var samples = new JobSamples(database);

        await samples.AddAsync(job, [.. new[] { 0, 10, 20 }.SelectMany(step => new[] { Sample(step, 1, "a"), Sample(step, 2, "b") })], Cancel);
        await samples.AddAsync(job, [Sample(20, 2, "c"), Sample(20, 2, "d")], Cancel);
        await samples.AddAsync("job-that-is-gone", [Sample(1, 1, "a")], Cancel);

        Assert.Equal([(20, 1, "a"), (20, 2, "d"), (10, 1, "a"), (10, 2, "b")], await ReadAsync(after: -1, before: null, steps: 2));
        Assert.Equal([(0, 1, "a"), (0, 2, "b")], await ReadAsync(after: -1, before: 10, steps: 5));
        Assert.Equal([(20, 1, "a"), (20, 2, "d")], await ReadAsync(after: 10, before: null, steps: 5));
        Assert.Empty(await ReadAsync(after: 20, before: null, steps: 5));

        async Task<IEnumerable<(long, int, string)>> ReadAsync(long after, long? before, int steps) =>
            (await samples.ReadAsync(job, after, before, steps, Cancel)).Select(sample => (sample.Step, sample.Number, sample.Text));

        static SampledText Sample(long step, int number, string text) => new(step, number, DateTimeOffset.UnixEpoch, "why?", text, Complete: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sweep_KeepsWhatJobsCanStillGoOnFrom(bool postgres)
    {
        await using var database = await OpenAsync(postgres);
        var time = new ManualTime(DateTimeOffset.UnixEpoch);
        var jobs = Jobs(database, time);
        var objects = new FileObjectStore(Path.Combine(home, "objects"));
        var checkpoints = new JobCheckpoints(objects, new JobMetrics(database), jobs, time);
        var (running, succeeded, failed) = (await CreateJobAsync(jobs), await CreateJobAsync(jobs), await CreateJobAsync(jobs));
        await jobs.ApplyAsync(succeeded, new JobChange(new JobRun(1, null), JobPhase.Succeeded), result: null, Cancel);
        await jobs.ApplyAsync(failed, new JobChange(new JobRun(1, null), JobPhase.Failed, Error: new("diverged", "no")), result: null, Cancel);
        foreach (var job in (string[])[running, succeeded, failed, "job-that-is-gone"])
            await objects.PutAsync(CheckpointKeys.Of(job, 7), new MemoryStream([1, 2, 3]), PutMode.IfAbsent, Cancel);

        await checkpoints.SweepAsync(Cancel);
        Assert.Equal(new[] { running, failed }.Order(StringComparer.Ordinal), await OwnersAsync(objects));

        time.Advance(TimeSpan.FromDays(31));
        await checkpoints.SweepAsync(Cancel);
        Assert.Equal([running], await OwnersAsync(objects));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Report_ManySteps_KeepsAnEventForEachHundredthAndEveryMessage(bool postgres)
    {
        await using var database = await OpenAsync(postgres);
        var jobs = Jobs(database, TimeProvider.System);
        var job = await CreateJobAsync(jobs);
        await jobs.ApplyAsync(job, new JobChange(new JobRun(1, null), JobPhase.Started), result: null, Cancel);
        var following = jobs.EventsAsync(job, after: 0, Cancel).ToListAsync(Cancel).AsTask();

        for (var step = 1; step <= 60; step++) // 20 steps a hundredth
            await jobs.ReportAsync(job, "TrainAdapter", new JobProgress("train", step, 2000, new Dictionary<string, double>()), step % 25 == 0 ? $"step {step}" : null, Cancel);
        await jobs.ApplyAsync(job, new JobChange(new JobRun(1, null), JobPhase.Succeeded), result: null, Cancel);

        var kept = await jobs.EventsAsync(job, after: 0, Cancel).ToListAsync(Cancel);
        Assert.Equal([19, 24, 25, 39, 49, 50, 59, 60], kept.Where(told => told is { Progress: not null, State: JobState.Running }).Select(told => told.Progress!.Step));
        Assert.Equal(["step 25", "step 50"], kept.Select(told => told.Message).OfType<string>().Where(message => message.StartsWith("step ", StringComparison.Ordinal)));
        var followed = await following.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal(followed.Select(told => told.Sequence).Distinct().Order(), followed.Select(told => told.Sequence));
        Assert.Subset(followed.Select(told => told.Sequence).ToHashSet(), kept.Select(told => told.Sequence).ToHashSet()); // who follows misses none that stays
        Assert.Equal(JobState.Succeeded, followed[^1].State);
    }

    [Fact]
    public async Task Checkpoints_OfAJob_HaveTheLossesOfTheirStepsAndTellTheBest()
    {
        await using var database = await OpenAsync(postgres: false);
        var (jobs, metrics) = (Jobs(database, TimeProvider.System), new JobMetrics(database));
        var objects = new FileObjectStore(Path.Combine(home, "objects"));
        var job = await CreateJobAsync(jobs);
        await metrics.AddAsync(
            job, [Point(2, ("loss", 3)), Point(2, ("validation_loss", 2.5)), Point(9, ("loss", 2)), Point(10, ("loss", 1)), Point(10, ("validation_loss", 2.75))], Cancel);
        foreach (var steps in (int[])[10, 9, 2]) await objects.PutAsync(CheckpointKeys.Of(job, steps), new MemoryStream(new byte[steps]), PutMode.IfAbsent, Cancel);
        await objects.PutAsync(CheckpointKeys.Prefix(job) + "notes.txt", new MemoryStream([1]), PutMode.IfAbsent, Cancel);

        var listed = await new JobCheckpoints(objects, metrics, jobs, TimeProvider.System).ListAsync(job, Cancel);

        Assert.Equal(
            [(2, 2, 3, 2.5, true), (9, 9, 2, null, false), (10, 10, 1, 2.75, false)],
            listed.Select(one => (one.Step, one.Size, one.Loss, one.ValidationLoss, one.Best)));
    }

    private async Task<MetadataDatabase> OpenAsync(bool postgres)
    {
        if (postgres) PostgresServer.RequireOne();
        var options = postgres
            ? new MetadataOptions { Provider = MetadataOptions.PostgreSql, ConnectionString = await (await PostgresServer.OfRunAsync()).CreateDatabaseAsync(Cancel) }
            : new MetadataOptions();
        var database = MetadataDatabase.Open(options, Path.Combine(home, "metadata.db"));
        await database.MigrateAsync(Cancel);
        return database;
    }

    private static JobStore Jobs(MetadataDatabase database, TimeProvider time) => new(database, new JobNews(Timeout.InfiniteTimeSpan, time), new JobQuotas(), time);

    private static async Task<string> CreateJobAsync(JobStore jobs) => Assert.IsType<JobCreation.Created>(
        await jobs.CreateAsync(new NewJob(JobKinds.Sft, JsonElement.Parse("{}"), JobPriority.Normal, "ada", "embedded", OverQuota: false), Cancel)).Job.Id;

    private static MetricPoint Point(long step, (string Name, double Value) first, params (string Name, double Value)[] others) =>
        new(step, DateTimeOffset.UnixEpoch, others.Prepend(first).ToDictionary(value => value.Name, value => value.Value, StringComparer.Ordinal));

    private static async Task<List<string>> OwnersAsync(FileObjectStore objects) =>
        await objects.ListAsync(CheckpointKeys.Root, cancellationToken: Cancel).Select(one => CheckpointKeys.JobOf(one.Key)).ToListAsync(Cancel);
}
