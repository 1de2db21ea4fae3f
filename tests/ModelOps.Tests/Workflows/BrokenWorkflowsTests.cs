using Microsoft.Data.Sqlite;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Workflows;

/// <summary>A database of workflows that can no longer be written: the server says so, and the next one does what was accepted.</summary>
public sealed class BrokenWorkflowsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WorkflowsCannotBeWritten_ReadinessNamesThem_AndTheJobIsDoneByTheNextServer()
    {
        var home = TestServer.NewHome();
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        Job accepted;
        await using (var server = await TestServer.StartAsync(home, Cancel))
        {
            var job = await server.Client.Datasets.CreateVersionAsync("first", rows, options: null, progress: null, Cancel);
            Assert.Equal(JobState.Succeeded, (await server.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);

            Alter(home, "ALTER TABLE events RENAME TO elsewhere");
            accepted = await server.Client.Datasets.CreateVersionAsync("second", rows, options: null, progress: null, Cancel);
            await Eventually.HoldsAsync(
                async () => (await server.Client.GetReadinessAsync(Cancel)).NotReady.Any(what => what.StartsWith("workflows: nothing can be written to", StringComparison.Ordinal)),
                Cancel);
        }
        Alter(home, "ALTER TABLE elsewhere RENAME TO events");
        await using (var server = await TestServer.StartAsync(home, Cancel))
            Assert.Equal(JobState.Succeeded, (await server.Client.Jobs.WatchAsync(accepted.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);
        Directory.Delete(home, recursive: true);
    }

    private static void Alter(string home, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(home, "workflows.db")};Pooling=False");
        connection.Open();
        using var command = new SqliteCommand(sql, connection);
        command.ExecuteNonQuery();
    }
}
