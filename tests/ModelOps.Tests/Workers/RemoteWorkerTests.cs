using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Data.Tests.Storage;
using ModelOps.Registry;
using ModelOps.Storage;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Workers;

/// <summary>A server without training and data workers of its own, and <c>modelops worker</c> with another home: they share a bucket and nothing else.</summary>
public sealed class RemoteWorkerTests(MotoServer moto) : IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Bucket = "platform";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly string home = TestServer.NewHome();
    private readonly string remote = TestServer.NewHome();
    private readonly List<RemoteWorker> started = [];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private ObjectStoreOptions Objects => new() { Kind = ObjectStoreKind.S3, Endpoint = moto.Url, Bucket = Bucket, AccessKey = "key", SecretKey = "secret" };

    public async ValueTask InitializeAsync()
    {
        await moto.ResetAsync(Cancel);
        using var http = new HttpClient();
        using var made = await http.PutAsync(new Uri($"{moto.Url}/{Bucket}"), content: null, Cancel);
        made.EnsureSuccessStatusCode();
    }

    public ValueTask DisposeAsync()
    {
        foreach (var worker in started) worker.Dispose();
        Directory.Delete(home, recursive: true);
        Directory.Delete(remote, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Worker_OfAnotherMachine_DoesTheJobsThroughAbortsAndRestartsOfTheServer()
    {
        string[] settings = [$"listen:port={FreePort()}", "workers:data:max=0", "workers:training:max=0"];
        string key, ca;
        RemoteWorker worker;
        await using (var server = await TestServer.StartAsync(home, Objects.ToEnvironment(), Cancel, settings))
        {
            ca = server.CaCertificate;
            await server.Client.Users.CreateAsync(new CreateUser { Name = "farm", Role = "service", Password = "correct horse battery" }, Cancel);
            key = (await server.Client.Keys.CreateAsync(new CreateApiKey { Name = "worker", User = "farm", Scopes = ["workers", "signing:read"] }, Cancel)).Secret;

            // 1. Who may not work for the server is told so; an administrator's key is none of a worker.
            foreach (var (token, reason) in new[] { ("mo_wrong", "error: "), (server.ApiKey, "this needs service") })
            {
                var refused = await RefusedAsync(server.Client.Server, ca, token);
                Assert.Equal(ExitCodes.NotAllowed, refused.Code);
                Assert.Contains(reason, refused.Error, StringComparison.Ordinal);
            }

            await File.WriteAllTextAsync(Path.Combine(remote, "modelops.json"), """{ "objects": { "kind": "s3", "path_style": "yes" } }""", Cancel);
            var unset = await RefusedAsync(server.Client.Server, ca, key);
            Assert.Equal(ExitCodes.Usage, unset.Code);
            Assert.Contains("data: objects: path_style is 'yes'; allowed is true or false", unset.Error, StringComparison.Ordinal);

            // 2. Its own folder has the settings of the bucket. It ingests and trains, and what it trained is what the server verifies.
            await File.WriteAllTextAsync(Path.Combine(remote, "modelops.json"), ObjectsInJson(), Cancel);
            worker = Start(server.Client.Server, ca, key);
            await worker.SaysAsync("data: ready");
            await IngestAsync(server.Client, "rows");
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
            await server.Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
            await SucceedsAsync(server.Client, await server.Client.Jobs.StartTrainingAsync(
                new CreateTraining { Base = "base", Dataset = "rows", Name = "tuned", MaxSteps = 1, Seed = 7 }, Cancel));
            Assert.True((await server.Client.Artifacts.VerifyAsync("tuned", Cancel)).Verified);
            Assert.DoesNotContain(await server.Client.Workers.ListAsync(Cancel), listed => listed.Role is "data" or "training");

            // 3. A process that dies is started again.
            await TestServer.AbortAsync(TestServer.Workers(remote, "data").Single(), Cancel);
            await worker.SaysAsync("data: it was ended by signal 6");
            await worker.SaysAsync("data: ready", times: 2);
        }

        // 4. The server goes away and comes back: the worker says so and goes on.
        await worker.SaysAsync("No answer from https://");
        await using (var again = await TestServer.StartAsync(home, Objects.ToEnvironment(), Cancel, settings))
        {
            await worker.SaysAsync("answers again");
            await IngestAsync(again.Client, "more-rows");

            // 5. What the server believes, the worker does.
            var before = (await again.Client.SigningKeys.ListAsync(Cancel)).Single(one => one.Current).KeyId;
            var now = (await again.Client.SigningKeys.RotateAsync(Cancel)).KeyId;
            await again.Client.SigningKeys.RevokeAsync(before, "a test", Cancel);
            var trusted = TrustedKeys.Load(Path.Combine(remote, "keys"));
            await Eventually.HoldsAsync(() => trusted.KeyIds.SequenceEqual([now]), Cancel);
            Assert.Equal("a test", trusted.Find(before)!.Revocation!.Reason);

            // 6. Told to stop it does, and its processes with it; a key that is revoked ends the next one.
            Assert.Equal(ExitCodes.Done, await worker.TerminateAsync());
            Assert.Empty(TestServer.Workers(remote));
            worker = Start(again.Client.Server, ca, key);
            await worker.SaysAsync("training: ready");
            var listed = (await again.Client.Keys.ListAsync(Cancel)).Single(one => one.Name == "worker");
            await again.Client.Keys.RevokeAsync(listed.Id, Cancel);
            Assert.Equal(ExitCodes.NotAllowed, await worker.EndsAsync());
            Assert.Empty(TestServer.Workers(remote));
        }
    }

    [Fact]
    public async Task Worker_WithoutWhatItNeeds_NamesEverythingAndStartsNothing()
    {
        var run = await CliRun.Of(["worker", "--role", "data", "--ca", "nowhere.crt", "--home", remote], programFolder: AppContext.BaseDirectory, cancellationToken: Cancel);
        Assert.Equal(ExitCodes.Usage, run.Code);
        foreach (var fault in new[] { "--server or MODELOPS_SERVER", "--token or MODELOPS_TOKEN", "there is no file" })
            Assert.Contains(fault, run.Error, StringComparison.Ordinal);

        await File.WriteAllTextAsync(Path.Combine(remote, "credentials.json"), "{}", Cancel);
        run = await RefusedAsync(new Uri("https://127.0.0.1:1"), ca: null, "mo_key");
        Assert.Equal(ExitCodes.Conflict, run.Code);
        Assert.Contains("is the home folder of a server", run.Error, StringComparison.Ordinal);
    }

    private Task<CliRun> RefusedAsync(Uri server, string? ca, string token) => CliRun.Of(
        ["worker", "--role", "data", "--server", server.AbsoluteUri, "--token", token, "--home", remote, .. ca is null ? Array.Empty<string>() : ["--ca", ca]],
        programFolder: AppContext.BaseDirectory, cancellationToken: Cancel);

    private RemoteWorker Start(Uri server, string ca, string key)
    {
        started.Add(RemoteWorker.Start(remote, server, ca, key));
        return started[^1];
    }

    private static async Task IngestAsync(ModelOpsClient client, string name)
    {
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        await SucceedsAsync(client, await client.Datasets.CreateVersionAsync(name, rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel));
    }

    private static async Task SucceedsAsync(ModelOpsClient client, Job job)
    {
        var ended = await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel).AsTask().WaitAsync(patience, Cancel);
        Assert.True(ended.State == JobState.Succeeded, $"{job.Kind}: {ended.State} {ended.Message}");
    }

    private string ObjectsInJson() => JsonSerializer.Serialize(new
    {
        objects = new { kind = "s3", endpoint = Objects.Endpoint, bucket = Objects.Bucket, access_key = Objects.AccessKey, secret_key = Objects.SecretKey },
    });

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The real program, for two roles.</summary>
    private sealed class RemoteWorker : IDisposable
    {
        private readonly StringBuilder lines = new();
        private readonly Process process;

        private RemoteWorker(ProcessStartInfo start)
        {
            process = new Process { StartInfo = start };
            process.ErrorDataReceived += (_, line) =>
            {
                lock (lines) lines.AppendLine(line.Data);
            };
            process.Start();
            process.BeginErrorReadLine();
        }

        private string Log
        {
            get
            {
                lock (lines) return lines.ToString();
            }
        }

        public static RemoteWorker Start(string home, Uri server, string ca, string key)
        {
            var start = new ProcessStartInfo(
                Path.Combine(AppContext.BaseDirectory, "modelops"),
                ["worker", "--role", "data", "--role", "training", "--server", server.AbsoluteUri, "--ca", ca, "--home", home])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
            };
            start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
            start.Environment["MODELOPS_TOKEN"] = key;
            return new(start);
        }

        public async Task SaysAsync(string text, int times = 1)
        {
            try
            {
                await Eventually.HoldsAsync(() => Log.Split(text).Length > times, Cancel);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Assert.Fail($"the worker did not say '{text}':\n{Log}");
            }
        }

        public async Task<int> TerminateAsync()
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            return await EndsAsync();
        }

        public async Task<int> EndsAsync()
        {
            await process.WaitForExitAsync(Cancel).WaitAsync(patience, Cancel);
            return process.ExitCode;
        }

        public void Dispose()
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            process.Dispose();
        }
    }
}
