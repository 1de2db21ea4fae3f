using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.Repository;
using Npgsql;

namespace ModelOps.Tests.EndToEnd;

/// <summary>What a machine does to a server besides killing it: full disks, services that are away, a locked database, a clock that is set. What can go on goes on, what cannot says why.</summary>
[EmbeddedOnly("each test brings the backends that it breaks")]
public sealed class FaultTests : IAsyncLifetime
{
    private const int Steps = 120;
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Disk_Full_IsNamed_AndEverythingGoesOnWhenThereIsSpace()
    {
        await using var server = await TestServer.StartOnSmallDisksAsync(home, megabytes: 250, objectMegabytes: 60, Cancel);
        var client = server.Client;
        var objects = Path.Combine(server.Home, "objects");
        await PrepareAsync(client);

        // 1. An upload: refused, nothing of it is left; the same one passes later.
        var folder = Directory.CreateDirectory(Path.Combine(home, "upload")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(folder, "weights.bin"), RandomNumberGenerator.GetBytes(300_000), Cancel);
        var upload = await LocalFiles.HashFolderAsync(folder, Cancel);
        using (Fill(objects))
        {
            var refused = await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.PushAsync("pushed", "model", upload, progress: null, Cancel));
            Assert.Equal(ProblemTypes.InsufficientStorage, refused.Problem.Type);
            Assert.Contains("No space left on device", refused.Problem.Detail, StringComparison.Ordinal);
            Assert.Contains(objects[objects.IndexOf(home, StringComparison.Ordinal)..], refused.Problem.Detail, StringComparison.Ordinal);
            Assert.Contains("free space on the server's disk and try again", refused.Problem.Detail, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFiles(Path.Combine(objects, ".incoming"), "*", SearchOption.AllDirectories));
        }
        await client.Artifacts.PushAsync("pushed", "model", upload, progress: null, Cancel);

        // 2. Checkpoints: training goes on without those that could not be stored.
        var training = await client.Jobs.StartTrainingAsync(Training("tuned"), Cancel);
        await UntilAsync(client, training, next => next.Message?.Contains("the checkpoint after step", StringComparison.Ordinal) == true);
        using (Fill(objects)) await SaysAsync(client, training, "could not be stored: No space left on device");
        await SucceedsAsync(client, training);

        // 3. Results: the step is tried again.
        Job ingestion, quantization;
        using (Fill(objects))
        {
            ingestion = await client.Datasets.CreateVersionAsync("again", Rows, new ModelOps.Client.IngestionOptions { MaxBad = "0", Validation = 0.1 }, progress: null, Cancel);
            quantization = await client.Jobs.StartQuantizationAsync(new() { Artifact = "tuned", Name = "quantized", Rows = 8 }, Cancel);
            await SaysAsync(client, ingestion, "IngestDataset cannot go on: No space left on device");
            await SaysAsync(client, quantization, "QuantizeModel cannot go on: No space left on device");
        }
        await SucceedsAsync(client, ingestion);
        await SucceedsAsync(client, quantization);
        Assert.Single((await client.Datasets.GetAsync("again", cancellationToken: Cancel)).Versions);
        await EverythingVerifiesAsync(client);
    }

    [Fact]
    public async Task Services_AwayInTheMiddleOfAJob_AreNamed_AndNothingIsLost()
    {
        var environment = (await Backends.NewClusterAsync()).ToDictionary(StringComparer.Ordinal);
        var (endpoint, database) = (new Uri(environment["MODELOPS__OBJECTS__ENDPOINT"]), new NpgsqlConnectionStringBuilder(environment["MODELOPS__DATABASE__CONNECTION_STRING"]));
        await using var bucket = new CutLink(endpoint.Port);
        await using var postgres = new CutLink(database.Port);
        environment["MODELOPS__OBJECTS__ENDPOINT"] = $"http://127.0.0.1:{bucket.Port}";
        database.Port = postgres.Port;
        environment["MODELOPS__DATABASE__CONNECTION_STRING"] = database.ToString();
        await using var server = await TestServer.StartAsync(home, environment, Cancel);
        var client = server.Client;
        await PrepareAsync(client);
        using var impatient = new ModelOpsClient(client.Server, server.ApiKey, server.CaCertificate, new ClientOptions { Attempts = 1 });

        // 1. The object store goes while a job trains: its checkpoints wait, a request is told what does not answer.
        var job = await client.Jobs.StartTrainingAsync(Training("tuned"), Cancel);
        await UntilAsync(client, job, next => next.Message?.Contains("the checkpoint after step", StringComparison.Ordinal) == true);
        await bucket.CutAsync();
        await SaysAsync(client, job, "could not be stored: ");
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => impatient.Artifacts.VerifyAsync("base", Cancel));
        Assert.Equal(ProblemTypes.Unavailable, refused.Problem.Type);
        Assert.Contains("the object store does not answer: ", refused.Problem.Detail, StringComparison.Ordinal);
        Assert.Contains($"in bucket {environment["MODELOPS__OBJECTS__BUCKET"]} at http://127.0.0.1:{bucket.Port}", refused.Problem.Detail, StringComparison.Ordinal);
        bucket.Mend();

        // 2. The database goes: requests are told, the job's worker keeps what it has to say.
        await postgres.CutAsync();
        refused = await Assert.ThrowsAsync<ModelOpsException>(() => impatient.Users.CreateAsync(new() { Name = "ada", Role = "viewer" }, Cancel));
        Assert.Equal(ProblemTypes.Unavailable, refused.Problem.Type);
        Assert.Contains("the metadata database does not answer: ", refused.Problem.Detail, StringComparison.Ordinal);
        Assert.Contains((await impatient.GetReadinessAsync(Cancel)).NotReady, what => what.StartsWith("database ", StringComparison.Ordinal));
        postgres.Mend();

        // 3. Nothing is missing of it.
        await SucceedsAsync(client, job);
        var course = Assert.Single(await client.Jobs.GetMetricsAsync(job.Id, ["loss"], cancellationToken: Cancel));
        Assert.Equal(Enumerable.Range(1, Steps), course.Points.Select(point => (int)point.Step));
        await EverythingVerifiesAsync(client);
    }

    [Fact]
    public async Task Clock_SetAnHourForwardAndBack_HoldsUpNothing()
    {
        var clock = await TestClock.CreateAsync(home, Cancel);
        if (clock is null) Assert.Skip(TestClock.Missing);
        await using var server = await TestServer.StartAsync(home, clock.Environment, Cancel);
        var client = server.Client;
        await PrepareAsync(client);
        await client.Users.CreateAsync(new() { Name = "ada", Role = "engineer", Password = "correct horse battery" }, Cancel);
        using var nobody = new ModelOpsClient(client.Server, apiKey: null, server.CaCertificate);
        var session = await nobody.Auth.SignInAsync("ada", "correct horse battery", Cancel);
        var job = await client.Jobs.StartTrainingAsync(Training("tuned"), Cancel);
        await UntilAsync(client, job, next => next.Progress is { Stage: "train", Step: > 0 });

        // 1. An hour forward: no worker is given up, a session goes on.
        await clock.SetAsync(TimeSpan.FromHours(1), Cancel);
        await StampsAsync("early", DateTimeOffset.UtcNow.AddHours(1));
        session = await nobody.Auth.RefreshAsync(session.RefreshToken, Cancel);
        await WhoAsync();

        // 2. A worker dies, and the clock goes back: what waits for the next one does not wait an hour.
        using (var worker = Process.GetProcessById(TestServer.Workers(home, "training").Single())) worker.Kill();
        await Eventually.HoldsAsync(() => server.Log.Contains("the training worker was ended by SIGKILL", StringComparison.Ordinal), Cancel);
        await clock.SetAsync(TimeSpan.FromHours(-1), Cancel);
        var later = await client.Jobs.StartEvaluationAsync(new() { Artifact = "base", Dataset = "rows", Split = "validation", Rows = 2, MaxTokens = 2 }, Cancel);
        await StampsAsync("late", DateTimeOffset.UtcNow.AddHours(-1));
        session = await nobody.Auth.RefreshAsync(session.RefreshToken, Cancel);
        await WhoAsync();
        await SucceedsAsync(client, job);
        await SucceedsAsync(client, later);

        // 3. The order of what happened is kept.
        Assert.Equal([later.Id, job.Id], await client.Jobs.ListAsync(cancellationToken: Cancel).Select(listed => listed.Id).Take(2).ToListAsync(Cancel));
        var events = await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).ToListAsync(Cancel);
        Assert.Equal(JobState.Queued, events[0].State);
        Assert.Equal(JobState.Succeeded, events[^1].State);
        Assert.Equal(1, events.Count(next => next.Message?.Contains("attempt 2 of TrainAdapter begins", StringComparison.Ordinal) == true));
        Assert.DoesNotContain(events, next => next.Message?.Contains("attempt 3", StringComparison.Ordinal) == true);
        await EverythingVerifiesAsync(client);

        async Task StampsAsync(string name, DateTimeOffset about) =>
            Assert.InRange((await client.Users.CreateAsync(new() { Name = name, Role = "viewer" }, Cancel)).CreatedAt, about.AddMinutes(-1), about.AddMinutes(1));

        async Task WhoAsync()
        {
            using var signedIn = new ModelOpsClient(client.Server, session.AccessToken, server.CaCertificate);
            Assert.Equal("ada", (await signedIn.Auth.WhoAmIAsync(Cancel)).Name);
        }
    }

    [Fact]
    public async Task MetadataDatabase_LockedByAnotherProcess_IsWaitedFor()
    {
        await using var server = await TestServer.StartAsync(home, Cancel);
        Task<User> created;
        await using (var other = await Backends.OpenDatabaseAsync(home, Cancel))
        {
            await using var locked = other.CreateCommand();
            locked.CommandText = "BEGIN IMMEDIATE";
            await locked.ExecuteNonQueryAsync(Cancel);
            created = server.Client.Users.CreateAsync(new() { Name = "ada", Role = "viewer" }, Cancel);
            Assert.Single(await server.Client.Users.ListAsync(Cancel)); // who reads waits for nobody
            Assert.False(created.IsCompleted);
        }
        await created;
    }

    private static string Rows => Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");

    private static CreateTraining Training(string name) => new()
    {
        Base = "base",
        Dataset = "rows",
        Name = name,
        Recipe = JsonElement.Parse("""{"batch_size": 1, "sequence_length": 64, "rank": 4, "checkpoint_seconds": 0.2, "seed": 7}"""),
        MaxSteps = Steps,
    };

    private static async Task PrepareAsync(ModelOpsClient client)
    {
        await MainJobRun.PushBaseAsync(client, Cancel);
        await SucceedsAsync(client, await client.Datasets.CreateVersionAsync("rows", Rows, new ModelOps.Client.IngestionOptions { MaxBad = "0" }, progress: null, Cancel));
    }

    /// <summary>Takes the last byte of a disk, until it is disposed.</summary>
    private static Filler Fill(string folder) => new(Path.Combine(folder, "filler"));

    private static async Task UntilAsync(ModelOpsClient client, Job job, Predicate<JobEvent> wanted)
    {
        var seen = await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).FirstOrDefaultAsync(next => wanted(next) || next.State.IsFinal, Cancel);
        Assert.True(seen is not null && wanted(seen), $"{job.Kind}: {seen?.State} {seen?.Message}");
    }

    private static async Task SaysAsync(ModelOpsClient client, Job job, string text)
    {
        var line = await client.Jobs.FollowLogAsync(job.Id, cancellationToken: Cancel).FirstOrDefaultAsync(line => line.Text.Contains(text, StringComparison.Ordinal), Cancel);
        Assert.True(line is not null, $"the {job.Kind} ended and did not say '{text}'");
    }

    private static async Task SucceedsAsync(ModelOpsClient client, Job job)
    {
        var ended = await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel);
        Assert.True(ended.State == JobState.Succeeded, $"{job.Kind}: {ended.State} {ended.Message}");
    }

    private static async Task EverythingVerifiesAsync(ModelOpsClient client)
    {
        foreach (var artifact in await client.Artifacts.ListAsync(kind: null, Cancel))
            Assert.True((await client.Artifacts.VerifyAsync($"{artifact.Name}@{artifact.Version}", Cancel)).Verified, artifact.Name);
        Assert.True((await client.Audit.VerifyAsync(head: null, Cancel)).Intact);
    }

    private sealed class Filler : IDisposable
    {
        private readonly string path;

        public Filler(string path)
        {
            this.path = path;
            using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
            for (var block = new byte[1 << 20]; block.Length > 0;)
                try
                {
                    file.Write(block);
                }
                catch (IOException)
                {
                    block = new byte[block.Length >> 1];
                }
        }

        public void Dispose() => File.Delete(path);
    }
}
