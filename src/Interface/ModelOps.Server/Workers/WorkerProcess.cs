using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Grpc.Net.Client;
using ModelOps.Storage;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>A running worker: its process, and the gRPC channel to its socket.</summary>
public sealed partial class WorkerProcess : IAsyncDisposable
{
    private static readonly TimeSpan startTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan stopTimeout = TimeSpan.FromSeconds(4);
    private readonly Process process;
    private readonly DirectoryInfo socketFolder;

    private WorkerProcess(Process process, DirectoryInfo socketFolder, GrpcChannel channel, Task exited)
    {
        this.process = process;
        this.socketFolder = socketFolder;
        Channel = channel;
        Exited = exited;
    }

    public GrpcChannel Channel { get; }

    /// <summary>Completes when the process has ended, however it did.</summary>
    public Task Exited { get; }

    public int Id => process.Id;

    /// <summary>How it ended, for people; only once <see cref="Exited"/> is complete.</summary>
    public string HowItEnded => process.ExitCode > 128
        ? string.Create(CultureInfo.InvariantCulture, $"was killed by signal {process.ExitCode - 128}")
        : string.Create(CultureInfo.InvariantCulture, $"exited with code {process.ExitCode}");

    /// <exception cref="WorkerStartException">It did not come up within 30 s; its last words are in the message.</exception>
    public static async Task<WorkerProcess> StartAsync(
        WorkerRole role, string home, ObjectStoreOptions objects, WorkerLink link, int threads, ILogger logger, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-"); // mode 0700; a socket's path may have 107 bytes at most
        var socket = Path.Combine(folder.FullName, "worker.sock");
        var start = WorkerProgram.Find().StartInfo(
            objects,
            link,
            "--role", role.ToString().ToLowerInvariant(),
            "--home", home,
            "--socket", socket,
            "--threads", threads.ToString(CultureInfo.InvariantCulture));
        var child = new Process { StartInfo = start, EnableRaisingEvents = true };
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var lastWords = "";
        child.OutputDataReceived += (_, line) =>
        {
            if (line.Data?.StartsWith("ready", StringComparison.Ordinal) == true) ready.TrySetResult();
        };
        child.ErrorDataReceived += (_, line) =>
        {
            if (string.IsNullOrWhiteSpace(line.Data)) return;
            lastWords = line.Data;
            Log.Said(logger, role, line.Data);
        };
        try
        {
            child.Start();
        }
        catch (Exception e)
        {
            child.Dispose();
            folder.Delete(recursive: true);
            throw new WorkerStartException($"the {role} worker cannot be started from {start.FileName}: {e.Message}", e);
        }
        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        var exited = child.WaitForExitAsync(CancellationToken.None);
        var worker = new WorkerProcess(child, folder, Connect(socket), exited);
        try
        {
            if (await Task.WhenAny(ready.Task, exited).WaitAsync(startTimeout, cancellationToken) == exited)
                throw new WorkerStartException($"the {role} worker {worker.HowItEnded} before it was ready: {lastWords}");
        }
        catch (Exception e)
        {
            await worker.DisposeAsync();
            if (e is TimeoutException) throw new WorkerStartException($"the {role} worker was not ready within {startTimeout.TotalSeconds} s: {lastWords}", e);
            throw;
        }
        Log.Started(logger, role, child.Id);
        return worker;
    }

    /// <summary>Asks it to stop by ending its standard input; kills it when it does not within 4 s.</summary>
    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        if (!process.HasExited)
        {
            try
            {
                process.StandardInput.Close();
                await Exited.WaitAsync(stopTimeout);
            }
            catch (Exception e) when (e is TimeoutException or IOException)
            {
                process.Kill(entireProcessTree: true);
                await Exited;
            }
        }
        process.Dispose();
        socketFolder.Delete(recursive: true);
    }

    private static GrpcChannel Connect(string socket) => GrpcChannel.ForAddress("http://worker", new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
                    return new NetworkStream(connection, ownsSocket: true);
                }
                catch
                {
                    connection.Dispose();
                    throw;
                }
            },
        },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = 64 * 1024 * 1024,
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Role} worker started, process {ProcessId}")]
        public static partial void Started(ILogger logger, WorkerRole role, int processId);

        [LoggerMessage(2, LogLevel.Information, "[{Role}] {Line}")]
        public static partial void Said(ILogger logger, WorkerRole role, string line);
    }
}

/// <summary>A worker process did not come up.</summary>
public sealed class WorkerStartException(string message, Exception? cause = null) : Exception(message, cause);
