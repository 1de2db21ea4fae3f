using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ModelOps.Client;

namespace ModelOps.Tests.EndToEnd;

/// <summary>
/// The main job while random processes of it are killed at random moments, and a client asks a deployed model all the time: it makes what an
/// undisturbed one makes, and leaves nothing else.
/// </summary>
/// <remarks>
/// MODELOPS_SURVIVAL_KILLS says how many in all, MODELOPS_SURVIVAL_SEED repeats what a run has printed, MODELOPS_SURVIVAL_REPORT names a file for the report as JSON.
/// </remarks>
[EmbeddedOnly("processes die alike on every backend")]
public sealed partial class SurvivalTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int KillsPerRun = 5;
    private const string Steady = "steady";
    private static readonly MainJobStage[] jobStages = [MainJobStage.Ingest, MainJobStage.Evaluate, MainJobStage.Quantize];
    private readonly List<string> folders = [];
    private readonly SurvivalReport report = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        foreach (var folder in folders.Where(Directory.Exists)) Directory.Delete(folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task MainJob_ProcessesKilled_MakesWhatAnUndisturbedOneMakesAndLeavesNothingElse()
    {
        var seed = Setting("MODELOPS_SURVIVAL_SEED", 20_261_127);
        var kills = Setting("MODELOPS_SURVIVAL_KILLS", 3);
        output.WriteLine($"MODELOPS_SURVIVAL_SEED={seed} MODELOPS_SURVIVAL_KILLS={kills}");
        var random = new Random(seed);
        var kinds = Enum.GetValues<Victim>();
        var left = new Queue<Victim>(Enumerable.Range(0, kills).Select(kill => kinds[kill % kinds.Length])); // in turn: no step dies so often that it is given up
        var calm = await RunUndisturbedAsync();
        try
        {
            for (var run = 1; left.Count > 0; run++)
            {
                Assert.True(run <= (kills / KillsPerRun) + 3, $"{left.Count} victims were never there when they were to die: {string.Join(", ", left)}");
                var drawn = Enumerable.Range(0, Math.Min(left.Count, KillsPerRun)).Select(_ => left.Dequeue()).ToList();
                foreach (var missed in await RunDisturbedAsync(calm, new Random(random.Next()), drawn)) left.Enqueue(missed);
            }
        }
        finally
        {
            output.WriteLine(report.ToString());
            if (Environment.GetEnvironmentVariable("MODELOPS_SURVIVAL_REPORT") is { Length: > 0 } file) await File.WriteAllTextAsync(file, report.ToJson(), Cancel);
        }
    }

    private async Task<Undisturbed> RunUndisturbedAsync()
    {
        var machine = await Machine.StartAsync(NewFolder(), Cancel);
        MainJobRun run;
        MainJobOutcome outcome;
        await using (machine)
        {
            await MainJobRun.PushBaseAsync(machine.Client, Cancel);
            run = new MainJobRun(machine.Client, machine.Home, Cancel);
            outcome = await run.RunAsync();
        }
        output.WriteLine($"undisturbed: {string.Join(", ", run.Took.Select(stage => $"{stage.Key} {stage.Value.TotalSeconds:0.0} s"))}");
        var gguf = Path.Combine(NewFolder(), "model.gguf");
        await File.WriteAllBytesAsync(gguf, await StoredBytes.ReadAsync(machine.Home, outcome.Gguf, Cancel), Cancel);
        Assert.Empty(await machine.LeftAsync());
        return new(run.Took, outcome, gguf, await machine.KeptAsync());
    }

    /// <returns>Victims that were not there when they were to die.</returns>
    private async Task<IReadOnlyList<Victim>> RunDisturbedAsync(Undisturbed calm, Random random, IReadOnlyList<Victim> victims)
    {
        var missed = new List<Victim>();
        var machine = await Machine.StartAsync(NewFolder(), Cancel);
        await using (machine)
        {
            var client = machine.Client;
            await MainJobRun.PushBaseAsync(client, Cancel);
            await client.Artifacts.PushAsync(Steady, "gguf", await LocalFiles.HashFolderAsync(Path.GetDirectoryName(calm.Gguf)!, Cancel), progress: null, Cancel);
            await client.Deployments.CreateAsync(new() { Name = Steady, Artifact = Steady }, Cancel);
            using var impatient = machine.NewClient(new ClientOptions { Attempts = 1 });
            await using var asking = new SteadyClient(impatient, Steady, Cancel);
            asking.Start();

            var run = new MainJobRun(client, machine.Home, Cancel);
            var running = run.RunAsync();
            var kills = new List<SurvivalKill>();
            var (stage, at) = (MainJobStage.Ingest, TimeSpan.Zero);
            foreach (var next in Moments(calm.Took, random, victims))
            {
                await run.ReachAsync(next.Stage, next.Stage == stage ? next.After - at : next.After);
                (stage, at) = (next.Stage, next.After);
                if (running.IsFaulted) await running;
                if (run.Stage != MainJobStage.Over && await KillAsync(machine, asking, run, next) is { } killed) kills.Add(killed);
                else missed.Add(next.Victim);
            }
            var outcome = await running;
            output.WriteLine($"disturbed: {string.Join(", ", run.Took.Select(took => $"{took.Key} {took.Value.TotalSeconds:0.0} s"))}");
            await asking.StopAsync();
            foreach (var kill in kills) report.Add(kill with { Recovery = kill.Recovery ?? await run.RecoveryAsync(kill.Stage, kill.At), FailedRequests = asking.Failed(kill) });
            output.WriteLine(asking.Verify());

            Assert.Equal(calm.Outcome.Rows, outcome.Rows);
            Assert.Equal(calm.Outcome.Losses, outcome.Losses);
            Assert.Equal(calm.Outcome with { Rows = outcome.Rows, Losses = outcome.Losses, Adapter = outcome.Adapter }, outcome);
            Assert.Equal(calm.Outcome.Adapter, outcome.Adapter);
            await VerifyAsync(client);
            output.WriteLine($"blobs that no artifact has, for retention to remove: {await machine.SpareBlobsAsync()}");
            await StopUnderLoadAsync(machine);
        }
        Assert.Empty(await machine.LeftAsync());
        Assert.Equal([], (await machine.KeptAsync()).Except(calm.Kept));
        return missed;
    }

    /// <summary>
    /// When each of them dies, in order: a worker of the job in a stage that needs it, what is there all the time spread over the job, one in each of as many
    /// equal parts of it.
    /// </summary>
    private static IEnumerable<Moment> Moments(IReadOnlyDictionary<MainJobStage, TimeSpan> took, Random random, IReadOnlyList<Victim> victims)
    {
        var (spread, parts) = (0, victims.Count(victim => victim is Victim.Server or Victim.InferenceWorker));
        return victims.Select(MomentOf).OrderBy(moment => moment.Stage).ThenBy(moment => moment.After).ToList();

        Moment MomentOf(Victim victim) => victim switch
        {
            Victim.TrainingWorker => Within(victim, [MainJobStage.Train], random.NextDouble()),
            Victim.JobWorker => Within(victim, jobStages, random.NextDouble()),
            _ => Within(victim, [.. took.Keys.Order()], (spread++ + random.NextDouble()) / parts),
        };

        Moment Within(Victim victim, MainJobStage[] stages, double share)
        {
            var at = stages.Aggregate(TimeSpan.Zero, (sum, stage) => sum + took[stage]) * share;
            var index = 0;
            while (index < stages.Length - 1 && at > took[stages[index]]) at -= took[stages[index++]];
            return new(victim, stages[index], at);
        }
    }

    /// <summary>Kills it, and waits until the model answers again if that needs it.</summary>
    /// <returns>null: it is a worker of a stage that is over.</returns>
    private static async Task<SurvivalKill?> KillAsync(Machine machine, SteadyClient asking, MainJobRun run, Moment moment)
    {
        var (from, stage, at) = (asking.Now, run.Stage, DateTimeOffset.UtcNow);
        switch (moment.Victim)
        {
            case Victim.Server:
                await machine.RestartAsync(Cancel);
                await Eventually.HoldsAsync(() => machine.Loaded(Steady) > 0, Cancel);
                break;
            case Victim.InferenceWorker:
                var loaded = machine.Loaded(Steady);
                Assert.True(await Machine.KillAsync(TestServer.Workers(machine.Home, "inference").Single()));
                await Eventually.HoldsAsync(() => machine.Loaded(Steady) > loaded, Cancel);
                break;
            default:
                var role = RoleOf(moment.Stage);
                var id = 0;
                await Eventually.HoldsAsync(() => run.Stage != moment.Stage || (id = TestServer.Workers(machine.Home, role) is [var first, ..] ? first : 0) != 0, Cancel);
                at = DateTimeOffset.UtcNow;
                return run.Stage == moment.Stage && await Machine.KillAsync(id) ? new($"{role} worker", moment.Stage, at) : null;
        }
        asking.WasAway(from);
        return new(moment.Victim == Victim.Server ? "server" : "inference worker", stage, at) { Away = (from, asking.Now), Recovery = asking.Now - from };
    }

    private static string RoleOf(MainJobStage stage) => stage switch
    {
        MainJobStage.Ingest => "data",
        MainJobStage.Train => "training",
        MainJobStage.Evaluate => "evaluation",
        MainJobStage.Quantize => "quantization",
        _ => throw new ArgumentOutOfRangeException(nameof(stage), stage, "no worker of a job has this stage"),
    };

    /// <summary>Asked to stop while they decode, neither a worker nor the server dies of it.</summary>
    private static async Task StopUnderLoadAsync(Machine machine)
    {
        var load = Enumerable.Range(0, 4).Select(_ => AskUntilAwayAsync(machine)).ToList();
        using (var signal = Process.Start("kill", ["-TERM", $"{TestServer.Workers(machine.Home, "inference").Single()}"])) await signal.WaitForExitAsync(Cancel);
        await Task.WhenAll(load).WaitAsync(TimeSpan.FromMinutes(1), Cancel);
        await Eventually.HoldsAsync(() => machine.Log.Contains("the inference worker exited with code 0", StringComparison.Ordinal), Cancel);
        await Eventually.HoldsAsync(async () => (await machine.Client.Deployments.GetAsync(Steady, Cancel)).State == "ready", Cancel);
        load = [.. Enumerable.Range(0, 4).Select(_ => AskUntilAwayAsync(machine))];
        Assert.Equal(0, await machine.StopAsync());
        await Task.WhenAll(load).WaitAsync(TimeSpan.FromMinutes(1), Cancel);
        Assert.DoesNotContain("SIGSEGV", machine.Log, StringComparison.Ordinal);
    }

    private static async Task AskUntilAwayAsync(Machine machine)
    {
        using var impatient = machine.NewClient(new ClientOptions { Attempts = 1 });
        try
        {
            while (true) await impatient.Chat.CompleteAsync(MainJobRun.Question(Steady) with { Temperature = 2, MaxTokens = 200 }, cancellationToken: Cancel);
        }
        catch (ModelOpsException e) when (SteadyClient.SaysAway(e))
        {
            // That is what it waits for.
        }
    }

    private static async Task VerifyAsync(ModelOpsClient client)
    {
        var listed = await client.Artifacts.ListAsync(kind: null, Cancel);
        foreach (var artifact in listed)
        {
            var verification = await client.Artifacts.VerifyAsync($"{artifact.Name}@{artifact.Version}", Cancel);
            Assert.True(verification.Verified, JsonSerializer.Serialize(verification, WireJson.Default.Verification));
        }
        Assert.Equal(["adapter-eval@1", "adapter@1", "base@1", "quantized@1", "rows@1", $"{Steady}@1"], listed.Select(artifact => $"{artifact.Name}@{artifact.Version}").Order(StringComparer.Ordinal));
        var audit = await client.Audit.VerifyAsync(head: null, Cancel);
        Assert.True(audit.Intact, audit.Fault);
    }

    private string NewFolder()
    {
        folders.Add(TestServer.NewHome());
        return folders[^1];
    }

    private static int Setting(string variable, int standard) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : standard;

    /// <summary>What is killed, each its share: the worker of a job that trains, one of another job, and what is there all the time.</summary>
    private enum Victim
    {
        TrainingWorker,
        Server,
        InferenceWorker,
        JobWorker,
    }

    private sealed record Moment(Victim Victim, MainJobStage Stage, TimeSpan After);

    private sealed record Undisturbed(IReadOnlyDictionary<MainJobStage, TimeSpan> Took, MainJobOutcome Outcome, string Gguf, IReadOnlyCollection<string> Kept);

    /// <summary>A server with a home folder and a folder for temporary files of its own, which comes up again on its port.</summary>
    private sealed partial class Machine : IAsyncDisposable
    {
        // The runtime's own, of each process for debuggers; it leaves them when it is killed.
        private static readonly string[] runtimeFiles = ["clr-debug-pipe-", "dotnet-diagnostic-"];
        private readonly string temporary;
        private readonly ModelOpsClient client;
        private TestServer server;

        private Machine(TestServer server, string temporary)
        {
            (this.server, this.temporary) = (server, temporary);
            client = NewClient(new ClientOptions { Attempts = 60, MaxDelay = TimeSpan.FromSeconds(1) });
        }

        public string Home => server.Home;

        public ModelOpsClient Client => client;

        public string Log => server.Log;

        /// <returns>Its exit code.</returns>
        public Task<int> StopAsync() => server.ExitAsync();

        public static async Task<Machine> StartAsync(string folder, CancellationToken cancel)
        {
            var place = Directory.CreateDirectory(Path.Combine(folder, "t")).FullName;
            // Below the ports that the kernel gives to outgoing connections: it stays free between two starts.
            return new(await StartAsync(Path.Combine(folder, "home"), place, Random.Shared.Next(20_000, 32_000), cancel), place);
        }

        public ModelOpsClient NewClient(ClientOptions options) => new(server.Client.Server, server.ApiKey, server.CaCertificate, options);

        /// <returns>false: it had ended.</returns>
        public static async Task<bool> KillAsync(int id)
        {
            try
            {
                using var process = Process.GetProcessById(id);
                process.Kill();
                await process.WaitForExitAsync(Cancel);
                return true;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }

        /// <summary>Pulls the plug; its workers go by themselves.</summary>
        public async Task RestartAsync(CancellationToken cancel)
        {
            var port = server.Client.Server.Port;
            var workers = TestServer.Workers(Home);
            await server.KillAsync();
            await server.DisposeAsync();
            server = await StartAsync(Home, temporary, port, cancel);
            await Eventually.HoldsAsync(() => !TestServer.Workers(Home).Intersect(workers).Any(), cancel);
        }

        /// <summary>How often the server has loaded a deployment since its start.</summary>
        public int Loaded(string deployment) => server.Log.Split($"deployment {deployment} serves").Length - 1;

        /// <summary>What a server that has stopped must not leave: processes, a lock, unfinished files.</summary>
        public async Task<List<string>> LeftAsync()
        {
            var left = Directory.EnumerateFileSystemEntries(temporary).Where(path => !runtimeFiles.Any(Path.GetFileName(path)!.StartsWith))
                .Concat(Directory.EnumerateDirectories(Path.Combine(Home, "tmp")).SelectMany(Directory.EnumerateFileSystemEntries))
                .Concat(Directory.EnumerateDirectories("/proc").Where(process => TestServer.CommandLine(process).Contains(Home, StringComparison.Ordinal)))
                .ToList();
            using var stores = await Backends.OpenStoresAsync(Home);
            foreach (var store in Backends.AreCluster ? [] : new[] { "objects", "tables" })
                left.AddRange(Directory.EnumerateFiles(Path.Combine(Home, store, ".incoming"), "*", SearchOption.AllDirectories));
            await using (new FileStream(Path.Combine(Home, "server.lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None)) return left;
        }

        /// <summary>Blobs that were stored by a step whose process died before it could name them.</summary>
        public async Task<int> SpareBlobsAsync()
        {
            var named = (await client.Artifacts.ListAsync(kind: null, Cancel)).SelectMany(artifact => artifact.Files).Select(file => file.Sha256).ToHashSet(StringComparer.Ordinal);
            using var stores = await Backends.OpenStoresAsync(Home);
            return await stores.Objects.ListAsync("artifacts/blobs/", cancellationToken: Cancel).CountAsync(info => !named.Contains(Path.GetFileName(info.Key)), Cancel);
        }

        /// <summary>Names of all that the home folder and the stores have, each kind of random or derived name once.</summary>
        public async Task<IReadOnlyCollection<string>> KeptAsync()
        {
            using var stores = await Backends.OpenStoresAsync(Home);
            var objects = stores.Objects.ListAsync("", cancellationToken: Cancel).Select(info => $"objects/{info.Key}");
            var tables = stores.Tables.ListAsync("", cancellationToken: Cancel).Select(info => $"tables/{info.Key}");
            var files = Directory.EnumerateFiles(Home, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Home, path))
                .Where(path => !path.StartsWith("objects/", StringComparison.Ordinal) && !path.StartsWith("tables/", StringComparison.Ordinal))
                .Where(path => path is not ("workflows.db-wal" or "workflows.db-shm")); // of a server that was killed: who needs the database next takes them up
            var names = (await objects.Concat(tables).ToListAsync(Cancel)).Concat(files).Select(name => Derived().Replace(name, "*"));
            return [.. names.Where(name => !name.Contains(Steady, StringComparison.Ordinal)).Distinct(StringComparer.Ordinal)];
        }

        public async ValueTask DisposeAsync()
        {
            await server.DisposeAsync();
            client.Dispose();
        }

        private static Task<TestServer> StartAsync(string home, string place, int port, CancellationToken cancel) => TestServer.StartAsync(
            home, new Dictionary<string, string>(StringComparer.Ordinal) { ["TMPDIR"] = place }, cancel, "rate_limits:enabled=false", $"listen:port={port}");

        [GeneratedRegex("^keys/(tokens|trusted)/.+|^cache/artifacts/[0-9a-f]{64}/.+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64}|(?<=sha256/)[0-9a-f]{2}|(?<=checkpoints/)job-[0-9a-f]+", RegexOptions.ExplicitCapture, 1000)]
        private static partial Regex Derived();
    }
}
