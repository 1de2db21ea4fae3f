using System.Net;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Hosting;

/// <summary>The server in its process: who may reach it, whose file it is, and what it forgets.</summary>
public sealed class TemporalServerTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-temporal-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Database => Path.Combine(folder, "workflows.db");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(false, "secret")]
    [InlineData(true, null)]
    public async Task StartAsync_ReachableWithoutBothTokenAndLeave_IsRefused(bool allowRemote, string? token)
    {
        var options = new TemporalServerOptions { Address = new(IPAddress.Any, 0), AllowRemote = allowRemote, Token = token };
        var error = await Assert.ThrowsAsync<ArgumentException>(() => TemporalServer.StartAsync(options, NullLoggerFactory.Instance, Cancellation));
        Assert.Contains(nameof(TemporalServerOptions.Token), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartAsync_FileOfARunningServer_IsRefused()
    {
        await using var first = await StartAsync(new() { DatabasePath = Database });
        var error = await Assert.ThrowsAsync<IOException>(() => StartAsync(new() { DatabasePath = Database }));
        Assert.Contains(Database, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_WithToken_NeedsIt()
    {
        await using var server = await StartAsync(new() { Token = "secret" });
        var client = await TemporalClient.ConnectAsync(new(server.Address) { ApiKey = "secret", Tls = new() { Disabled = true } });
        await client.WorkflowService.DescribeNamespaceAsync(new() { Namespace = "default" });
        client.Connection.ApiKey = "guess";
        var error = await Assert.ThrowsAsync<RpcException>(() => client.WorkflowService.DescribeNamespaceAsync(new() { Namespace = "default" }));
        Assert.Equal(RpcException.StatusCode.Unauthenticated, error.Code);
    }

    [Fact]
    public async Task Retention_RunClosedLongAgo_IsForgotten()
    {
        await using (var server = await StartAsync(new() { DatabasePath = Database }))
        {
            var client = await TemporalClient.ConnectAsync(new(server.Address));
            await (await client.StartWorkflowAsync("Closed", [], new("closed", "nobody"))).TerminateAsync();
            await client.StartWorkflowAsync("Open", [], new("open", "nobody"));
        }
        await using (var server = await StartAsync(new() { DatabasePath = Database, TimeProvider = new Later(TimeSpan.FromDays(31)) }))
        {
            var client = await TemporalClient.ConnectAsync(new(server.Address));
            while (await IsKnownAsync(client, "closed")) await Task.Delay(10, Cancellation);
            Assert.True(await IsKnownAsync(client, "open"));
        }
    }

    [Fact]
    public async Task Call_TheDatabaseIsBroken_IsRefusedAtOnceAndTheNextStartHasAllThatWasAnswered()
    {
        await using (var server = await StartAsync(new() { DatabasePath = Database }))
        {
            var client = await TemporalClient.ConnectAsync(new(server.Address));
            await client.StartWorkflowAsync("Open", [], new("before", "nobody"));
            Alter("ALTER TABLE events RENAME TO elsewhere");
            for (var i = 0; i < 2; i++)
            {
                var error = await Assert.ThrowsAsync<RpcException>(() => client.WorkflowService.StartWorkflowExecutionAsync(new()
                {
                    Namespace = "default",
                    WorkflowId = $"broken {i}",
                    WorkflowType = new() { Name = "Open" },
                    TaskQueue = new() { Name = "nobody" },
                    RequestId = $"{i}",
                })).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
                Assert.Equal(RpcException.StatusCode.Unavailable, error.Code);
                Assert.Contains(Database, error.Message, StringComparison.Ordinal);
            }
            Assert.NotNull(server.Failure);
        }
        Alter("ALTER TABLE elsewhere RENAME TO events");
        await using (var server = await StartAsync(new() { DatabasePath = Database }))
        {
            var client = await TemporalClient.ConnectAsync(new(server.Address));
            Assert.True(await IsKnownAsync(client, "before"));
            Assert.False(await IsKnownAsync(client, "broken 0"));
        }
    }

    private void Alter(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        using var command = new SqliteCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static Task<TemporalServer> StartAsync(TemporalServerOptions options) =>
        TemporalServer.StartAsync(options, NullLoggerFactory.Instance, Cancellation);

    private static async Task<bool> IsKnownAsync(TemporalClient client, string id)
    {
        try
        {
            await client.GetWorkflowHandle(id).DescribeAsync();
            return true;
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
        {
            return false;
        }
    }

    private sealed class Later(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + by;
    }
}
