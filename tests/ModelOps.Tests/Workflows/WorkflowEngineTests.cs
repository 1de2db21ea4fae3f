using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;
using ModelOps.Server.Workflows;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Workflows;

[EmbeddedOnly("it is the embedded service that stops")]
public sealed class WorkflowEngineTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StopAsync_TimeIsOverBeforeItsTurn_ClosesTheDatabaseAllTheSame()
    {
        var folder = TestServer.NewHome();
        using (var home = ServerHome.Open(folder))
        {
            using var engine = new WorkflowEngine(new ServerConfig(), home, [], TimeProvider.System, NullLoggerFactory.Instance);
            await engine.ClientAsync(Cancel);
            Assert.True(File.Exists($"{home.Workflows}-wal"));
            await engine.StopAsync(new CancellationToken(canceled: true));
            Assert.False(File.Exists($"{home.Workflows}-wal"));
        }
        Directory.Delete(folder, recursive: true);
    }
}
