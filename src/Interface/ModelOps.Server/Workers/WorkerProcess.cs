using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Grpc.Net.Client;
using ModelOps.Storage;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <param name="Instance">Number of the process within its role, from 1: no two live ones have the same.</param>
/// <param name="Home">The server's home folder.</param>
/// <param name="Threads">Threads for arithmetic.</param>
/// <param name="Objects">Handed over in the environment: a command line is for every user of the machine to read.</param>
public sealed record WorkerLaunch(WorkerRole Role, int Instance, string Home, int Threads, ObjectStoreOptions Objects)
{
    /// <summary>Bytes that the models of an inference worker may take together.</summary>
    /// <value>The default is null: no limit.</value>
    public long? ModelMemory { get; init; }
}

/// <summary>A worker from its start on: its process, its log, what it says of itself, and the gRPC channel to its socket.</summary>
public sealed partial class WorkerProcess : IAsyncDisposable
{
    private const int MostLastWords = 5;
    private const int LongestLastWord = 500;
    private const string ReadyWord = "ready";
    private const string TasksWord = "tasks ";
    private const string LeaveWord = "leave";
    private static readonly TimeSpan startTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan stopTimeout = TimeSpan.FromSeconds(2); // the server itself has five
    private static readonly TimeSpan leaveTimeout = TimeSpan.FromSeconds(10); // for one that has nothing to do
    private static readonly TimeSpan outputTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lastWordsFor = TimeSpan.FromSeconds(10); // what was said before has nothing to do with the end
    private readonly WorkerLaunch launch;
    private readonly Process process;
    private readonly DirectoryInfo socketFolder;
    private readonly ILoggerFactory loggers;
    private readonly TimeProvider time;
    private readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentQueue<(long At, string Text)> lastWords = new();
    private int tasks;
    private (long At, TimeSpan Processor) measured; // the first: none yet

    private WorkerProcess(WorkerLaunch launch, Process process, DirectoryInfo socketFolder, GrpcChannel channel, ILoggerFactory loggers, TimeProvider time)
    {
        (this.launch, this.process, this.socketFolder, this.loggers, this.time) = (launch, process, socketFolder, loggers, time);
        Channel = channel;
        Id = process.Id;
        ReadOutputs(); // first: the wait for the end is one for the end of what is read, its last words
        Exited = ExitAsync();
    }

    public GrpcChannel Channel { get; }

    /// <summary>Completes when the process has ended, however it did.</summary>
    public Task Exited { get; }

    public int Id { get; }

    /// <summary>Activities or generations that it runs, as it says itself.</summary>
    public int Tasks => Volatile.Read(ref tasks);

    /// <summary>Physical memory in bytes, when last measured.</summary>
    public long Memory { get; private set; }

    /// <summary>Use of processors between the last two measurements: 100 is one core.</summary>
    public double CpuPercent { get; private set; }

    /// <summary>How it ended and its last words, for people; only once <see cref="Exited"/> is complete.</summary>
    public string HowItEnded { get; private set; } = "";

    /// <exception cref="WorkerStartException">It did not come up within 30 s; its last words are in the message.</exception>
    public static async Task<WorkerProcess> StartAsync(
        WorkerLaunch launch, WorkerProgram program, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-"); // mode 0700; a socket's path may have 107 bytes at most
        var socket = Path.Combine(folder.FullName, "worker.sock");
        var child = new Process { StartInfo = program.StartInfo(launch, socket), EnableRaisingEvents = true };
        try
        {
            child.Start();
        }
        catch (Exception e)
        {
            child.Dispose();
            folder.Delete(recursive: true);
            throw new WorkerStartException($"the {launch.Role.Name()} worker cannot be started from {program.Path}: {e.Message}", e);
        }
        var worker = new WorkerProcess(launch, child, folder, Connect(socket), loggers, time);
        try
        {
            if (await Task.WhenAny(worker.ready.Task, worker.Exited).WaitAsync(startTimeout, cancellationToken) == worker.Exited)
                throw new WorkerStartException($"the {launch.Role.Name()} worker {worker.HowItEnded}; it was not ready yet");
        }
        catch (TimeoutException e)
        {
            await worker.DisposeAsync();
            throw new WorkerStartException($"the {launch.Role.Name()} worker was not ready within {startTimeout.TotalSeconds} s{worker.LastWords()}", e);
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
        Log.Started(loggers.CreateLogger<WorkerProcess>(), launch.Role.Name(), launch.Instance, child.Id, launch.Threads);
        return worker;
    }

    /// <summary>Takes its memory and use of processors anew.</summary>
    public void Measure()
    {
        try
        {
            process.Refresh();
            var now = (At: time.GetTimestamp(), Processor: process.TotalProcessorTime);
            Memory = process.WorkingSet64;
            if (measured.At != 0 && time.GetElapsedTime(measured.At, now.At) is { Ticks: > 0 } passed)
                CpuPercent = (now.Processor - measured.Processor) / passed * 100;
            measured = now;
        }
        catch (InvalidOperationException)
        {
            // It ended meanwhile.
        }
    }

    /// <summary>Asks it to take no more tasks, and waits until it has finished what it took meanwhile and is gone.</summary>
    public async Task LeaveAsync()
    {
        try
        {
            await process.StandardInput.WriteLineAsync(LeaveWord);
            await process.StandardInput.FlushAsync();
            do await Task.WhenAny(Exited, Task.Delay(leaveTimeout, time));
            while (!Exited.IsCompleted && Tasks > 0);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // It is gone, or told to stop.
        }
        await StopAsync();
    }

    /// <summary>Asks it to stop by ending its standard input; kills it when it does not within 2 s.</summary>
    public async Task StopAsync()
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

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        if (!Exited.IsCompleted) await StopAsync();
        process.Dispose();
        if (Directory.Exists(socketFolder.FullName)) socketFolder.Delete(recursive: true); // a worker that ends by itself removes it
    }

    /// <summary>Until it has ended and what it wrote is read; what it left running may hold its outputs open, and is not waited for.</summary>
    private async Task ExitAsync()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Exited += (_, _) => ended.TrySetResult();
        if (process.HasExited) ended.TrySetResult();
        var read = process.WaitForExitAsync(CancellationToken.None);
        await ended.Task;
        await Task.WhenAny(read, Task.Delay(outputTimeout));
        HowItEnded = WorkerExit.Describe(process.ExitCode) + LastWords(); // asked for also when the process is disposed
    }

    private void ReadOutputs()
    {
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Relay(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    private void Hear(string? line)
    {
        if (line is null) return;
        if (line.StartsWith(ReadyWord, StringComparison.Ordinal)) ready.TrySetResult();
        else if (line.StartsWith(TasksWord, StringComparison.Ordinal) && int.TryParse(line[TasksWord.Length..], CultureInfo.InvariantCulture, out var running))
            Volatile.Write(ref tasks, running);
    }

    private void Relay(string? line)
    {
        if (string.IsNullOrWhiteSpace(line)) return;
        var read = WorkerLine.Read(launch.Role, Id, line);
        if (read.Level >= LogLevel.Warning)
        {
            lastWords.Enqueue((time.GetTimestamp(), read.Message.Length > LongestLastWord ? read.Message[..LongestLastWord] : read.Message));
            if (lastWords.Count > MostLastWords) lastWords.TryDequeue(out _);
        }
        read.LogTo(loggers);
    }

    private string LastWords()
    {
        var recent = lastWords.Where(word => time.GetElapsedTime(word.At) < lastWordsFor).Select(word => word.Text).ToList();
        return recent.Count == 0 ? "" : $"; its last words: {string.Join(" | ", recent)}";
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
        [LoggerMessage(1, LogLevel.Information, "{Role} worker {Instance} started, process {ProcessId}, {Threads} threads")]
        public static partial void Started(ILogger logger, string role, int instance, int processId, int threads);
    }
}

/// <summary>A worker process did not come up.</summary>
public sealed class WorkerStartException(string message, Exception? cause = null) : Exception(message, cause);
