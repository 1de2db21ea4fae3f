using System.Net;
using System.Net.Sockets;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>A server that cannot start: one line says why, and the exit code is that of docs/cli.md.</summary>
[EmbeddedOnly("it ends before it opens a store")]
public sealed class StartTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Start_OnAPortInUse_SaysOneClearLine()
    {
        var home = TestServer.NewHome();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        try
        {
            using var server = await ServerProcess.LaunchAsync(home, new Dictionary<string, string>(StringComparer.Ordinal), $"listen:port={port}");
            Assert.Equal(ModelOps.Cli.ExitCodes.Conflict, await server.EndAsync(Cancel));
            Assert.Equal(
                $"modelops: cannot listen on 127.0.0.1:{port}: another program uses the port; end it, or choose another port with --port, 0 for any free one",
                server.Log.Trim());
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }
}
