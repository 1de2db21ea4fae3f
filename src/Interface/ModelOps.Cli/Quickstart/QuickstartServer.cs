using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>The server of this home if it answers, else one started for this run and stopped after it.</summary>
internal sealed class QuickstartServer : IAsyncDisposable
{
    private readonly ServerProcess? own;
    private readonly ModelOpsClient? opened;

    private QuickstartServer(ModelOpsClient client, ModelOpsClient? opened, ServerProcess? own)
    {
        Client = client;
        this.opened = opened;
        this.own = own;
    }

    public ModelOpsClient Client { get; }

    public bool IsOwn => own is not null;

    public static async Task<QuickstartServer> OpenAsync(Invocation invocation, Installation installation, CancellationToken cancellationToken)
    {
        if (invocation.ServerOption is not null)
        {
            return new QuickstartServer(invocation.Client, null, null);
        }
        if (await RunningServer.FindAsync(invocation, cancellationToken) is { } running)
        {
            return new QuickstartServer(running, running, null);
        }
        var executable = installation.RequireServer();
        var started = ServerProcess.StartDetached(executable, invocation.Home);
        try
        {
            var client = await ProgressView.RunAsync(
                invocation, "Start the server", progress =>
                {
                    progress.Report(new ProgressUpdate("starting the server", 0, null));
                    return started.ConnectAsync(invocation, cancellationToken);
                });
            return new QuickstartServer(client, client, started);
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        opened?.Dispose();
        if (own is not null)
        {
            await own.DisposeAsync();
        }
    }
}
