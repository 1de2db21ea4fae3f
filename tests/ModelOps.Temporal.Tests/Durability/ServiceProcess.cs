using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Temporalio.Client;

namespace ModelOps.Temporal.Tests.Durability;

/// <summary>The service in a process of its own, to be killed: every start is on the same database file and the same port.</summary>
internal sealed class ServiceProcess : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    private readonly string folder = Directory.CreateTempSubdirectory("modelops-killed-service-").FullName;
    private readonly int port = FreePort();
    private Process? process;

    public string Address => $"127.0.0.1:{port}";

    public static async Task<ServiceProcess> StartNewAsync(CancellationToken cancellationToken)
    {
        var service = new ServiceProcess();
        await service.StartAsync(cancellationToken);
        return service;
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.TemporalHost/release/ModelOps.TemporalHost");
        var start = new ProcessStartInfo(program, [Path.Combine(folder, "workflows.db"), $"{port}"]) { UseShellExecute = false, RedirectStandardOutput = true };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        start.Environment["DOTNET_TieredPGO"] = "0"; // starts faster
        process = Process.Start(start)!;
        var address = await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask().WaitAsync(patience, cancellationToken);
        Assert.Equal(Address, address);
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync();
        Assert.Equal(128 + 9, process.ExitCode);
        process.Dispose();
        process = null;
    }

    public async Task RestartAsync(CancellationToken cancellationToken)
    {
        await KillAsync();
        await StartAsync(cancellationToken);
    }

    public Task<TemporalClient> ConnectAsync() => TemporalClient.ConnectAsync(new(Address));

    public async ValueTask DisposeAsync()
    {
        if (process != null) await KillAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
