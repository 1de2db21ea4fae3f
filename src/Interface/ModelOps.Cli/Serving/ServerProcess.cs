using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Serving;

/// <summary>A server that this command started and must stop.</summary>
internal sealed partial class ServerProcess : IAsyncDisposable
{
    private const int Terminate = 15;

    // Longer than the 5 s in which the server promises to stop.
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    private readonly Process process;

    private readonly DateTime credentialsBefore;

    private ServerProcess(Process process, DateTime credentialsBefore)
    {
        this.process = process;
        this.credentialsBefore = credentialsBefore;
    }

    /// <summary>Starts the server on this terminal: its output is this command's output.</summary>
    public static ServerProcess StartAttached(string executable, Home home, int? port, IReadOnlyList<string> settings) =>
        Start(new ProcessStartInfo(executable, Arguments(home, port, settings)), home);

    /// <summary>Starts the server out of reach of the terminal's Ctrl-C, with its output in the home's log, on any free port.</summary>
    /// <remarks>The command must be able to cancel its job before the server goes.</remarks>
    public static ServerProcess StartDetached(string executable, Home home)
    {
        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(Path.GetDirectoryName(home.ServerLog)!, ownerOnly);
        // setsid and the redirection by the shell keep the same process id, and the log is written even while nobody reads.
        var start = new ProcessStartInfo("/bin/sh");
        string[] arguments = ["-c", "log=$1; shift; exec setsid \"$@\" >\"$log\" 2>&1 </dev/null", "sh", home.ServerLog, executable, .. Arguments(home, 0, ["telemetry:logs=text"])];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
        return Start(start, home);
    }

    /// <summary>Waits until the server has written its credentials and is ready.</summary>
    /// <exception cref="ModelOpsException">It ended first, or took longer than 60 s; the end of its log says why.</exception>
    public async Task<ModelOpsClient> ConnectAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var (home, time) = (invocation.Home, invocation.Host.Time);
        var started = time.GetTimestamp();
        var notReady = "it has not written its credentials";
        while (time.GetElapsedTime(started) < StartTimeout)
        {
            if (process.HasExited)
            {
                throw Failed(home, $"The server ended with code {process.ExitCode} before it was ready.");
            }
            if (FreshCredentials(home) is { } credentials)
            {
                var client = ServerAddress.Connect(invocation, credentials);
                var readiness = await TryReadinessAsync(client, cancellationToken);
                if (readiness is { NotReady.Count: 0 })
                {
                    return client;
                }
                notReady = readiness is null ? "it does not answer" : string.Join(", ", readiness.NotReady);
                client.Dispose();
            }
            await Task.Delay(PollInterval, time, cancellationToken);
        }
        throw Failed(home, $"The server was not ready after {StartTimeout.TotalSeconds:0} s: {notReady}.");
    }

    /// <summary>Waits for its end; cancellation asks it to stop and still waits.</summary>
    public async Task<int> WaitAsync(CancellationToken cancellationToken)
    {
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            await StopAsync();
        }
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        process.Dispose();
    }

    private async Task StopAsync()
    {
        if (process.HasExited)
        {
            return;
        }
        _ = Kill(process.Id, Terminate); // fails only when it has just ended by itself
        using var timeout = new CancellationTokenSource(StopTimeout);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    /// <summary>Null until this process, not an earlier one, has written them.</summary>
    private Credentials? FreshCredentials(Home home) =>
        File.GetLastWriteTimeUtc(home.CredentialsFile) != credentialsBefore ? home.ReadCredentials() : null;

    private static async Task<Readiness?> TryReadinessAsync(ModelOpsClient client, CancellationToken cancellationToken)
    {
        try
        {
            return await client.GetReadinessAsync(cancellationToken);
        }
        catch (ServerUnreachableException)
        {
            return null;
        }
    }

    /// <param name="port">Null: as configured.</param>
    private static List<string> Arguments(Home home, int? port, IReadOnlyList<string> settings)
    {
        List<string> arguments = ["--home", home.Folder];
        if (port is { } chosen) arguments.AddRange("--port", chosen.ToString(CultureInfo.InvariantCulture));
        foreach (var setting in settings) arguments.AddRange("--set", setting);
        return arguments;
    }

    private static ServerProcess Start(ProcessStartInfo start, Home home)
    {
        var before = File.GetLastWriteTimeUtc(home.CredentialsFile);
        try
        {
            return new ServerProcess(Process.Start(start)!, before);
        }
        catch (Win32Exception exception)
        {
            throw new ModelOpsException(
                new Problem { Type = CliProblems.LocalFile, Title = "Server cannot be started", Detail = $"{start.FileName} cannot be started: {exception.Message}" },
                exception);
        }
    }

    private static ModelOpsException Failed(Home home, string detail)
    {
        string[] lines = File.Exists(home.ServerLog) ? [.. File.ReadLines(home.ServerLog).TakeLast(10)] : [];
        return CliProblems.Exception(ProblemTypes.Unavailable, "Server did not start", $"{detail} The end of {home.ServerLog}:", lines);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int Kill(int processId, int signal);
}
