using System.Diagnostics;
using System.Runtime.InteropServices;
using ModelOps.Server.Configuration;
using ModelOps.Storage;

namespace ModelOps.Server.Workers;

/// <summary>The worker's executable, beside this one: in the build's layout, in a published one, or where MODELOPS_WORKER_PATH says.</summary>
public sealed record WorkerProgram(string Path)
{
    /// <exception cref="WorkerStartException">It is nowhere; the message says where it was looked for.</exception>
    public static WorkerProgram Find()
    {
        string[] candidates = Environment.GetEnvironmentVariable("MODELOPS_WORKER_PATH") is { Length: > 0 } chosen
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

    /// <param name="objects">Handed over in the environment: a command line is for every user of the machine to read.</param>
    public ProcessStartInfo StartInfo(ObjectStoreOptions objects, WorkerLink link, params IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(Path)
        {
            UseShellExecute = false,
            RedirectStandardInput = true, // its end tells the worker that the server is gone
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        // The runtime that runs this process runs the worker too, wherever it is installed.
        start.Environment["DOTNET_ROOT"] = System.IO.Path.GetFullPath(System.IO.Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        // libtorch's threads (libgomp) spin while they wait for each other: beside any other load that costs twenty times the speed.
        start.Environment["OMP_WAIT_POLICY"] = "PASSIVE";
        // The server's configuration, its secrets too, is not the worker's: it gets what it needs.
        foreach (var inherited in start.Environment.Keys.Where(name => name.StartsWith(ConfigInput.EnvironmentPrefix, StringComparison.OrdinalIgnoreCase)).ToList())
            start.Environment.Remove(inherited);
        foreach (var (name, value) in objects.ToEnvironment().Concat(link.ToEnvironment())) start.Environment[name] = value;
        return start;
    }
}
