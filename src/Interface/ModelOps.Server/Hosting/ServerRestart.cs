namespace ModelOps.Server.Hosting;

/// <summary>Asks the running host to stop so that a new one takes its place, in the same process and on the same port.</summary>
public sealed class ServerRestart(IHostApplicationLifetime lifetime)
{
    public bool Requested { get; private set; }

    public void Request()
    {
        Requested = true;
        lifetime.StopApplication();
    }
}
