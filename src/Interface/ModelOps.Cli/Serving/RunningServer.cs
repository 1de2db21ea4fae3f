using ModelOps.Client;

namespace ModelOps.Cli.Serving;

/// <summary>The server of a home, if it answers.</summary>
internal static class RunningServer
{
    public static async Task<ModelOpsClient?> FindAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var home = invocation.Home;
        if (home.ReadCredentials() is not { } credentials || !File.Exists(home.CaPath(credentials)))
        {
            return null;
        }
        var client = ServerAddress.Connect(invocation, credentials);
        try
        {
            await client.GetReadinessAsync(cancellationToken);
            return client;
        }
        catch (ServerUnreachableException)
        {
            client.Dispose();
            return null;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }
}
