using System.Net;
using System.Net.Sockets;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A port in front of another one of this machine, which a test cuts and mends: as if that server were stopped and started, with its data.</summary>
internal sealed class CutLink : IAsyncDisposable
{
    private readonly int target;
    private readonly List<Socket> open = [];
    private readonly Lock gate = new();
    private TcpListener? listener;
    private Task accepting = Task.CompletedTask;

    public CutLink(int target)
    {
        this.target = target;
        // Below the ports that the kernel gives to outgoing connections: it stays free while the link is cut.
        while (listener is null)
            try
            {
                Port = Random.Shared.Next(20_000, 32_000);
                Mend();
            }
            catch (SocketException)
            {
                listener = null; // taken
            }
    }

    public int Port { get; private set; }

    /// <summary>Ends every connection, and takes no more.</summary>
    public async Task CutAsync()
    {
        listener?.Dispose();
        lock (gate)
        {
            foreach (var socket in open) socket.Close(timeout: 0);
            open.Clear();
        }
        await accepting;
    }

    public void Mend()
    {
        var made = new TcpListener(IPAddress.Loopback, Port);
        made.Start();
        listener = made;
        accepting = AcceptAsync(made);
    }

    public async ValueTask DisposeAsync() => await CutAsync();

    private async Task AcceptAsync(TcpListener from)
    {
        try
        {
            while (true) _ = PassAsync(await from.AcceptSocketAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It was cut.
        }
    }

    private async Task PassAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        lock (gate) open.AddRange([client, server]);
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, target);
            await using var one = new NetworkStream(client);
            await using var other = new NetworkStream(server);
            await Task.WhenAll(CopyAsync(one, other, server), CopyAsync(other, one, client));
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
        {
            // It was cut.
        }
        finally
        {
            client.Dispose();
            server.Dispose();
            lock (gate) open.RemoveAll(socket => socket == client || socket == server);
        }
    }

    /// <summary>One direction to its end, which is passed on too.</summary>
    private static async Task CopyAsync(Stream from, Stream to, Socket target)
    {
        await from.CopyToAsync(to);
        target.Shutdown(SocketShutdown.Send);
    }
}
