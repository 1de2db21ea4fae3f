using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Workers;

/// <summary>A worker process of this machine, started again when it dies. It ends with this command, however that ends: its standard input does.</summary>
/// <param name="instance">Its number within the role: no two at once have the same.</param>
/// <param name="home">The folder of this machine's workers.</param>
/// <param name="environment">How it reaches the server and the objects.</param>
internal sealed class WorkerProcess(
    string program, string role, int instance, string home, int threads, IReadOnlyDictionary<string, string> environment, WorkerLog log, TimeProvider time)
{
    private const int BadSettings = 2;
    private const int SignalBase = 128; // what the runtime makes of a signal
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan HealthyAfter = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);
    private readonly string name = instance == 1 ? role : $"{role} {instance}";

    /// <summary>Until it is canceled.</summary>
    /// <exception cref="ModelOpsException">It cannot be started, or refuses its settings.</exception>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        var pause = FirstPause;
        while (true)
        {
            var started = time.GetTimestamp();
            var code = await RunAsync(cancellationToken);
            if (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            if (code == BadSettings)
            {
                throw UsageException.Of($"The {role} worker cannot work with its settings; its lines above say why.");
            }
            pause = time.GetElapsedTime(started) >= HealthyAfter ? FirstPause : pause;
            log.Write("error", name, $"it {HowItEnded(code)}; it is started again in {pause.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s");
            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private static string HowItEnded(int code) => code > SignalBase ? $"was ended by signal {code - SignalBase}" : $"exited with code {code}";

    /// <returns>Its exit code.</returns>
    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-"); // mode 0700; a socket's path may have 107 bytes at most
        try
        {
            using var process = new Process { StartInfo = StartInfo(Path.Combine(folder.FullName, "worker.sock")) };
            process.OutputDataReceived += (_, line) => Hear(line.Data);
            process.ErrorDataReceived += (_, line) => Relay(line.Data);
            process.Start();
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            try
            {
                await process.WaitForExitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                await StopAsync(process);
            }
            return process.ExitCode;
        }
        catch (Win32Exception exception)
        {
            throw new ModelOpsException(
                new Problem { Type = CliProblems.LocalFile, Title = "Worker cannot be started", Detail = $"{program} cannot be started: {exception.Message}" },
                exception);
        }
        finally
        {
            if (Directory.Exists(folder.FullName)) folder.Delete(recursive: true); // a worker that ends by itself removes it
        }
    }

    private ProcessStartInfo StartInfo(string socket)
    {
        string[] arguments =
        [
            "--role", role, "--instance", instance.ToString(CultureInfo.InvariantCulture), "--home", home, "--socket", socket,
            "--threads", threads.ToString(CultureInfo.InvariantCulture),
        ];
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // libtorch's threads (libgomp) spin while they wait for each other: beside any other load that costs twenty times the speed.
        start.Environment["OMP_WAIT_POLICY"] = "PASSIVE";
        foreach (var (variable, value) in environment)
        {
            start.Environment[variable] = value;
        }
        return start;
    }

    private void Hear(string? line)
    {
        if (line?.StartsWith("ready", StringComparison.Ordinal) == true)
        {
            log.Write("info", name, $"ready, process {line["ready".Length..].Trim()}, {threads} threads");
        }
    }

    private void Relay(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            log.Relay(name, line);
        }
    }

    /// <summary>Asks it to stop by ending its standard input; kills it when it does not within 5 s.</summary>
    private static async Task StopAsync(Process process)
    {
        using var patience = new CancellationTokenSource(StopTimeout);
        try
        {
            process.StandardInput.Close();
            await process.WaitForExitAsync(patience.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }
}
