using System.Text;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Testing;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>Backup and restore by command line, on running servers.</summary>
[EmbeddedOnly("it restores onto either database there")]
public sealed class BackupTests
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restore_IntoAnotherServer_ItRestartsItselfWithTheBackup(bool ontoPostgreSql)
    {
        if (ontoPostgreSql) PostgresServer.RequireOne();
        await using var from = await TestServer.StartAsync(TestServer.NewHome(), Cancel);
        var pushed = await PushAsync(from, "kept");
        var file = Path.Combine(from.Home, "metadata.tar");
        var backup = await CliRun.Of(["backup", file, "--json", "--with-keys", "--home", from.Home], cancellationToken: Cancel);
        Assert.True(backup.Code == ExitCodes.Done, backup.Error);
        Assert.Equal(new FileInfo(file).Length, JsonElement.Parse(backup.Out).GetProperty("size").GetInt64());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Empty(Directory.GetFiles(from.Home, "*.tmp"));

        var environment = ontoPostgreSql
            ? await (await PostgresServer.OfRunAsync()).ServerEnvironmentAsync(Cancel)
            : new Dictionary<string, string>(StringComparer.Ordinal);
        await using var to = await TestServer.StartAsync(TestServer.NewHome(), environment, Cancel);
        await PushAsync(to, "gone");
        var refused = await CliRun.Of(["restore", file, "--home", to.Home], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.Conflict, refused.Code);
        Assert.Contains("artifacts: 1", refused.Error, StringComparison.Ordinal);

        var restored = await CliRun.Of(["restore", file, "--yes", "--json", "--home", to.Home], cancellationToken: Cancel);
        Assert.True(restored.Code == ExitCodes.Done, restored.Error);
        Assert.Equal(1, JsonElement.Parse(restored.Out).GetProperty("rows").GetProperty("artifacts").GetInt64());
        await ReadyAgainAsync(to, starts: 2);

        var listed = await CliRun.Of(["artifacts", "list", "--json", "--home", to.Home], cancellationToken: Cancel);
        Assert.True(listed.Code == ExitCodes.Done, listed.Error); // with the credentials that the restarted server wrote
        var only = Assert.Single(JsonElement.Parse(listed.Out).GetProperty("items").EnumerateArray());
        Assert.Equal(pushed.Digest, only.GetProperty("digest").GetString());
        Assert.Equal(
            await File.ReadAllTextAsync(Path.Combine(from.Home, "keys/signing.key"), Cancel),
            await File.ReadAllTextAsync(Path.Combine(to.Home, "keys/signing.key"), Cancel));
    }

    [Fact]
    public async Task Restore_OfADamagedFile_Gives6AndEveryFault()
    {
        await using var server = await TestServer.StartAsync(TestServer.NewHome(), Cancel);
        await PushAsync(server, "kept");
        var file = Path.Combine(server.Home, "metadata.tar");
        await server.Client.Backup.CreateAsync(file, cancellationToken: Cancel);
        var bytes = await File.ReadAllBytesAsync(file, Cancel);
        var at = Encoding.Latin1.GetString(bytes).IndexOf("\"kind\":\"model\"", StringComparison.Ordinal);
        bytes[at + 9] ^= 1;
        await File.WriteAllBytesAsync(file, bytes, Cancel);
        var run = await CliRun.Of(["restore", file, "--yes", "--home", server.Home], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains("tables/artifacts.jsonl was changed", run.Error, StringComparison.Ordinal);
        Assert.Single(await server.Client.Artifacts.ListAsync(cancellationToken: Cancel));
    }

    [Fact]
    public async Task Restore_ServerKilledInTheMiddle_StartsWithTheOldState()
    {
        var home = TestServer.NewHome();
        var large = Path.Combine(home, "large.tar");
        await using (var server = await TestServer.StartAsync(home, Cancel))
        {
            await PushLargeAsync(server);
            await server.Client.Backup.CreateAsync(large, cancellationToken: Cancel);
            await PushAsync(server, "newer");
        }
        var crashing = await TestServer.StartAsync(home, Cancel);
        var restoring = crashing.Client.Backup.RestoreAsync(large, replace: true, cancellationToken: Cancel);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!await RestoreWritesAsync(home) && !restoring.IsCompleted) Assert.True(clock.Elapsed < patience, "the restore writes nothing");
        Assert.False(restoring.IsCompleted, "the restore ended before it could be interrupted");
        await crashing.KillAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => restoring.WaitAsync(patience, Cancel));

        await using var after = await TestServer.StartAsync(home, Cancel);
        Assert.Equal("1", (await after.Client.Artifacts.GetAsync("newer", Cancel)).Version);
    }

    [Fact]
    public async Task Serve_WithAWrongDatabaseConfiguration_SaysWhatAndEnds()
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS__DATABASE__PROVIDER"] = "postgresql",
            ["MODELOPS__DATABASE__CONNECTION_STRING"] = "Host=127.0.0.1;Port=1;Username=u;Password=s3cret;Database=d",
        };
        var ended = await Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(TestServer.NewHome(), environment, Cancel));
        Assert.Contains("modelops: the metadata database cannot be used: Failed to connect to 127.0.0.1:1", ended.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", ended.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", ended.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Readiness_DatabaseGone_SaysSo()
    {
        PostgresServer.RequireOne();
        var postgres = await PostgresServer.OfRunAsync();
        var environment = await postgres.ServerEnvironmentAsync(Cancel);
        await using var server = await TestServer.StartAsync(TestServer.NewHome(), environment, Cancel);
        await postgres.DropDatabaseAsync(environment["MODELOPS__DATABASE__CONNECTION_STRING"], Cancel);
        var readiness = await server.Client.GetReadinessAsync(Cancel);
        Assert.Equal("starting", readiness.Status);
        Assert.StartsWith("database fails:", Assert.Single(readiness.NotReady), StringComparison.Ordinal);
    }

    private static async Task<Artifact> PushAsync(TestServer server, string name)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-push-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", Cancel);
        var files = await LocalFiles.HashFolderAsync(folder, Cancel);
        var pushed = await server.Client.Artifacts.PushAsync(name, "model", files, cancellationToken: Cancel);
        Directory.Delete(folder, recursive: true);
        return pushed;
    }

    /// <summary>An artifact of one content under 20,000 paths: enough rows that a restore takes a while.</summary>
    private static async Task PushLargeAsync(TestServer server)
    {
        var content = Assert.Single((await PushAsync(server, "small")).Files);
        using var connection = new ApiConnection(server.Client.Server, _ => ValueTask.FromResult<string?>(server.ApiKey), server.CaCertificate, new ClientOptions());
        var files = Enumerable.Range(0, 20_000).Select(i => content with { Path = $"folder/file-{i}.json" }).ToList();
        await connection.PostAsync(
            "api/v1/artifacts", new CreateArtifact { Name = "large", Kind = "model", Files = files },
            WireJson.Default.CreateArtifact, WireJson.Default.Artifact, Cancel);
    }

    /// <summary>Whether it is in the middle of its writing.</summary>
    private static async Task<bool> RestoreWritesAsync(string home)
    {
        if (!Backends.AreCluster) return new FileInfo(Path.Combine(home, "metadata.db-wal")) is { Exists: true, Length: > 1 << 20 };
        await using var database = await Backends.OpenDatabaseAsync(home, Cancel);
        await using var command = database.CreateCommand();
        command.CommandText = "SELECT count(*) FROM pg_locks WHERE relation = 'audit'::regclass AND mode = 'AccessExclusiveLock'"; // the guards are off
        return await command.ExecuteScalarAsync(Cancel) is > 0L;
    }

    private static Task ReadyAgainAsync(TestServer server, int starts) => Eventually.HoldsAsync(
        () => server.Log.Split("modelops: ready on ").Length - 1 == starts, Cancel);
}
