using ModelOps.Client;
using ModelOps.Testing;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using Npgsql;

namespace ModelOps.Tests.Gateway;

/// <summary>A database that keeps the start waiting, by a lock that somebody else holds.</summary>
[EmbeddedOnly("it brings a database of its own")]
public sealed class SlowDatabaseTests : IAsyncLifetime
{
    private readonly string home = TestServer.NewHome();
    private Dictionary<string, string> environment = [];
    private NpgsqlConnection somebody = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        PostgresServer.RequireOne();
        environment = new(await (await PostgresServer.OfRunAsync()).ServerEnvironmentAsync(Cancel), StringComparer.Ordinal);
        await using (await TestServer.StartAsync(home, environment, Cancel)) { } // makes the tables
        var database = environment["MODELOPS__DATABASE__CONNECTION_STRING"];
        environment["MODELOPS__DATABASE__CONNECTION_STRING"] = $"{database};Command Timeout=1";
        somebody = new NpgsqlConnection($"{database};Pooling=False");
        await somebody.OpenAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (somebody is not null) await somebody.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public async Task Start_JobsCannotBeReadYet_GoesOnTryingAndThenRunsJobs()
    {
        await using var held = await LockAsync("jobs");
        await using var server = await TestServer.StartAsync(home, environment, Cancel);
        await Eventually.HoldsAsync(() => server.Log.Contains("the jobs could not be looked at", StringComparison.Ordinal), Cancel);

        await held.RollbackAsync(Cancel);

        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        var job = await server.Client.Datasets.CreateVersionAsync("rows", rows, options: null, progress: null, Cancel);
        Assert.Equal(JobState.Succeeded, (await server.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);
    }

    [Fact]
    public async Task Start_ToldToStopMeanwhile_EndsByCode0()
    {
        environment["MODELOPS__DATABASE__CONNECTION_STRING"] += "00";
        await using var held = await LockAsync("deployments");
        using var server = await ServerProcess.LaunchAsync(home, environment);
        await Eventually.HoldsAsync(WaitsAsync, Cancel);

        Assert.Equal(0, await server.StopAsync());

        Assert.DoesNotContain("Unhandled exception", server.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("ready on", server.Log, StringComparison.Ordinal);
    }

    private async Task<NpgsqlTransaction> LockAsync(string table)
    {
        var transaction = await somebody.BeginTransactionAsync(Cancel);
        await ExecuteAsync($"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        return transaction;
    }

    private async Task<bool> WaitsAsync() =>
        await ExecuteAsync("SELECT count(*) FROM pg_locks WHERE relation = 'deployments'::regclass AND NOT granted") is > 0L;

    private async Task<object?> ExecuteAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, somebody);
        return await command.ExecuteScalarAsync(Cancel);
    }
}
