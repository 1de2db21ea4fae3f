using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.Server.Configuration;
using ModelOps.Storage;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>The worker's executable, beside this one: in the build's layout, in a published one, or where MODELOPS_WORKER_PATH says.</summary>
public sealed record WorkerProgram(string Path)
{
    private const string Nice = "/usr/bin/nice";
    private const int BatchNiceness = 10;

    /// <summary>What it finds in its environment besides its object store.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <exception cref="WorkerStartException">It is nowhere; the message says where it was looked for.</exception>
    public static WorkerProgram Find()
    {
        string[] candidates = System.Environment.GetEnvironmentVariable("MODELOPS_WORKER_PATH") is { Length: > 0 } chosen
            ? [chosen]
            :
            [
                System.IO.Path.GetFullPath(System.IO.Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Worker/release/ModelOps.Worker")),
                System.IO.Path.GetFullPath(System.IO.Path.Combine(AppContext.BaseDirectory, "../worker/ModelOps.Worker")),
            ];
        return Array.Find(candidates, File.Exists) is { } path
            ? new(path)
            : throw new WorkerStartException($"the worker program is missing; looked for {string.Join(" and ", candidates)}");
    }

    public ProcessStartInfo StartInfo(WorkerLaunch launch, string socket)
    {
        string[] arguments =
        [
            "--role", launch.Role.Name(),
            "--instance", launch.Instance.ToString(CultureInfo.InvariantCulture),
            "--home", launch.Home,
            "--socket", socket,
            "--threads", launch.Threads.ToString(CultureInfo.InvariantCulture),
            .. launch.ModelMemory is { } memory ? ["--model-memory", memory.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
        ];
        // What somebody waits for goes before what runs for hours: nice replaces itself by the worker, whose threads all start with its priority.
        var start = launch.Role == WorkerRole.Inference || !File.Exists(Nice) ? Start(Path, arguments) : Start(Nice, ["-n", $"{BatchNiceness}", Path, .. arguments]);
        foreach (var (name, value) in launch.Objects.ToEnvironment().Concat(Environment)) start.Environment[name] = value;
        return start;
    }

    /// <summary>For a program of its own that ends when it has answered; it gets no credentials.</summary>
    public ProcessStartInfo StartInfo(params string[] arguments) => Start(Path, arguments);

    private static ProcessStartInfo Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true, // its end tells the worker that the server is gone
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // The runtime that runs this process runs the worker too, wherever it is installed.
        start.Environment["DOTNET_ROOT"] = System.IO.Path.GetFullPath(System.IO.Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        // libtorch's threads (libgomp) spin while they wait for each other: beside any other load that costs twenty times the speed.
        start.Environment["OMP_WAIT_POLICY"] = "PASSIVE";
        // The server's configuration, its secrets too, is not the worker's: it gets what it needs.
        foreach (var inherited in start.Environment.Keys.Where(name => name.StartsWith(ConfigInput.EnvironmentPrefix, StringComparison.OrdinalIgnoreCase)).ToList())
            start.Environment.Remove(inherited);
        return start;
    }
}
