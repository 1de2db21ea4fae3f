using System.Diagnostics;
using System.Globalization;

namespace ModelOps.Worker.Hosting;

/// <summary>
/// What a worker and the server that started it tell each other, besides gRPC: "ready PID" and "tasks N" on standard output; on standard input
/// "leave", to take nothing more and go when all is done, and its end, which is the server's word to stop and comes however the server dies.
/// </summary>
public sealed class ServerLink(WorkerOptions options) : IDisposable
{
    private const string LeaveWord = "leave";
    private static readonly TimeSpan patience = TimeSpan.FromMilliseconds(1500); // the server kills after 2 s
    private readonly CancellationTokenSource leaving = new();
    private readonly Lock gate = new();
    private int tasks;

    /// <summary>The server wants this process to take nothing more.</summary>
    public CancellationToken Leaving => leaving.Token;

    public void SayReady() => Say(string.Create(CultureInfo.InvariantCulture, $"ready {Environment.ProcessId}"));

    /// <summary>Counts a task until it is disposed.</summary>
    public IDisposable Begin()
    {
        Count(+1);
        return new Task(this);
    }

    /// <summary>Hears the server; stops the application when it is gone, and kills this process where native code will not let it stop.</summary>
    /// <remarks>A thread of its own: those of the pool may all be in native code.</remarks>
    public void ListenToServer(IHostApplicationLifetime lifetime) => new Thread(() =>
    {
        using var input = new StreamReader(Console.OpenStandardInput());
        while (input.ReadLine() is { } word)
            if (word == LeaveWord) leaving.Cancel();
        RemoveSocketFolder();
        lifetime.StopApplication();
        Thread.Sleep(patience);
        using var self = Process.GetCurrentProcess();
        self.Kill();
    })
    {
        IsBackground = true,
        Name = "server link",
    }.Start();

    public void Dispose() => leaving.Dispose();

    /// <summary>
    /// Whoever made it for this process alone may be gone. Nobody can connect any more, and what is connected stays so. A folder that has anything else
    /// is not such a one, and stays.
    /// </summary>
    private void RemoveSocketFolder()
    {
        try
        {
            File.Delete(options.Socket);
            Directory.Delete(Path.GetDirectoryName(options.Socket)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Its maker was first, or it is everybody's.
        }
    }

    private void Count(int change)
    {
        lock (gate)
        {
            tasks += change;
            Say(string.Create(CultureInfo.InvariantCulture, $"tasks {tasks}"));
        }
    }

    private static void Say(string line) => Console.Out.WriteLine(line);

    private sealed class Task(ServerLink link) : IDisposable
    {
        public void Dispose() => link.Count(-1);
    }
}
