using System.CommandLine;
using ModelOps.Cli.Configuration;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using Spectre.Console;

namespace ModelOps.Cli.Doctor;

/// <param name="Status">ok, missing (needed), or note (fine, but worth knowing).</param>
/// <param name="Advice">What to do; null when nothing is to be done.</param>
internal sealed record DoctorCheck(string Name, string Status, string Detail, string? Advice = null);

/// <param name="Configuration">What a server started now would run with; null without an installed server.</param>
internal sealed record DoctorReport(bool Healthy, IReadOnlyList<DoctorCheck> Checks, EffectiveConfiguration? Configuration);

internal static class DoctorCommand
{
    private const string Ok = "ok";
    private const string Missing = "missing";
    private const string Note = "note";

    public static Command Create(CommandFactory cli) => cli.Command(
        "doctor", "Says what is installed, what is missing, what to do, and the effective configuration.", ["modelops doctor", "modelops doctor --json"], [], RunAsync);

    private static async Task<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var installation = new Installation(invocation.Host);
        var configuration = await EffectiveConfiguration.ReadAsync(installation, invocation.Home, cancellationToken);
        List<DoctorCheck> checks =
        [
            Installed("server", installation.Server, Missing, "build the solution, or name the program in MODELOPS_SERVER_PATH"),
            Installed("worker", installation.Worker, Note, "build the solution; training, quantization and serving run in it"),
            Installed("samples", installation.Samples, Note, "name the folder in MODELOPS_SAMPLES; only quickstart without --data and --base needs it"),
            HomeFolder(invocation.Home),
            .. Configured(configuration),
            CredentialsFile(invocation.Home),
            await ReachabilityAsync(invocation, cancellationToken),
            Machine(),
            Cuda(installation),
        ];
        var report = new DoctorReport(checks.TrueForAll(check => check.Status != Missing), checks, configuration);
        invocation.Write(report, JsonOutput.Documents.DoctorReport, _ => Show(invocation, report));
        return report.Healthy ? ExitCodes.Done : ExitCodes.Failed;
    }

    private static void Show(Invocation invocation, DoctorReport report)
    {
        foreach (var check in report.Checks)
        {
            invocation.Screen.WriteLine($"{check.Status,-8} {check.Name,-12} {check.Detail}");
            if (check.Advice is not null)
            {
                invocation.Screen.WriteLine($"{"",-21} -> {check.Advice}");
            }
        }
        if (report.Configuration is not { } configuration) return;
        invocation.Screen.WriteLine();
        invocation.Screen.Write(ConfigCommand.Table(invocation, configuration.Values));
    }

    private static IEnumerable<DoctorCheck> Configured(EffectiveConfiguration? configuration)
    {
        const string Name = "config";
        if (configuration is null) return [];
        return configuration.Valid
            ? [new DoctorCheck(Name, Ok, $"{configuration.Values.Count} values, {configuration.Values.Count(value => value.Source != "default")} of them set")]
            : configuration.Errors.Select(error => new DoctorCheck(Name, Missing, error, "correct it where it was written; docs/configuration.md lists the keys"));
    }

    private static DoctorCheck Installed(string name, string? path, string whenAbsent, string advice) =>
        path is null ? new DoctorCheck(name, whenAbsent, "not found", advice) : new DoctorCheck(name, Ok, path);

    private static DoctorCheck HomeFolder(Home home)
    {
        if (!Directory.Exists(home.Folder))
        {
            return new DoctorCheck("home", Ok, $"{home.Folder} (made at the server's first start)");
        }
        var free = Human.Bytes(new DriveInfo(home.Folder).AvailableFreeSpace);
        return new DoctorCheck("home", Ok, $"{home.Folder}, {free} free");
    }

    private static DoctorCheck CredentialsFile(Home home)
    {
        const string Name = "credentials";
        try
        {
            if (home.ReadCredentials() is not { } credentials)
            {
                return new DoctorCheck(Name, Note, $"no {home.CredentialsFile}", "'modelops serve' writes it");
            }
            var others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(home.CredentialsFile) & others) != UnixFileMode.None)
            {
                return new DoctorCheck(Name, Missing, $"{home.CredentialsFile} can be read by others", $"chmod 600 {home.CredentialsFile}");
            }
            return File.Exists(home.CaPath(credentials))
                ? new DoctorCheck(Name, Ok, home.CredentialsFile)
                : new DoctorCheck(Name, Missing, $"{home.CaPath(credentials)} does not exist", "start the server anew: 'modelops serve'");
        }
        catch (Exception exception) when (exception is InvalidDataException or UnauthorizedAccessException or IOException)
        {
            return new DoctorCheck(Name, Missing, exception.Message, "start the server anew: 'modelops serve'");
        }
    }

    private static async Task<DoctorCheck> ReachabilityAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        const string Name = "reachable";
        try
        {
            var readiness = await invocation.Client.GetReadinessAsync(cancellationToken);
            return readiness.NotReady.Count == 0
                ? new DoctorCheck(Name, Ok, $"{invocation.Client.Server} is ready")
                : new DoctorCheck(Name, Note, $"{invocation.Client.Server} is not ready: {string.Join(", ", readiness.NotReady)}");
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return new DoctorCheck(Name, Note, CliProblems.Of(exception).Detail ?? exception.Message);
        }
    }

    /// <summary>What a recipe with <c>device: cuda</c> would find here.</summary>
    private static DoctorCheck Cuda(Installation installation)
    {
        const string Driver = "/proc/driver/nvidia/version"; // the kernel module's own words, there while it is loaded
        var driver = File.Exists(Driver) ? File.ReadLines(Driver).First() : null;
        var library = installation.Worker is { } worker && File.Exists(Path.Combine(Path.GetDirectoryName(worker)!, "native", "torch", "libtorch_cuda.so"));
        var of = library ? "the worker's libtorch has CUDA" : installation.Worker is null ? "no worker is installed" : "the worker's libtorch is for the CPU only";
        var detail = $"{of}; {driver ?? "no NVIDIA driver is loaded"}";
        return library && driver is not null
            ? new DoctorCheck("cuda", Ok, detail)
            : new DoctorCheck(
                "cuda", Note, detail,
                "only to train on a GPU ('device: cuda' in a recipe): load NVIDIA's driver, and build with TorchSharp-cuda-linux of TorchSharp's version, whose libraries go into the worker's native/torch");
    }

    private static DoctorCheck Machine() => new(
        "machine", Ok,
        $"{Environment.ProcessorCount} CPUs, {Human.Bytes(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)} memory, "
        + System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier);
}
