using System.Diagnostics;
using System.Diagnostics.Metrics;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Telemetry;

/// <summary>What the server counts beside what the framework counts; OpenTelemetry's names and units.</summary>
public sealed class ServerMetrics : IDisposable
{
    public const string MeterName = "ModelOps.Server";
    private readonly Meter meter;
    private readonly Counter<long> problems;

    public ServerMetrics(IMeterFactory meters, ServerHome home)
    {
        meter = meters.Create(MeterName);
        problems = meter.CreateCounter<long>("modelops.problems", "{problem}", "Requests refused or failed, by the type of the problem.");
        meter.CreateObservableCounter("process.cpu.time", ProcessorTimes, "s", "Total CPU seconds of the process.");
        meter.CreateObservableUpDownCounter("process.memory.usage", () => Of(process => process.WorkingSet64), "By", "The amount of physical memory in use.");
        meter.CreateObservableUpDownCounter("process.thread.count", () => Of(process => process.Threads.Count), "{thread}", "Process threads count.");
        meter.CreateObservableGauge("modelops.home.disk.free", () => new DriveInfo(home.Root).AvailableFreeSpace, "By", "Bytes that can still be written on the home folder's filesystem.");
        meter.CreateObservableGauge("modelops.home.disk.size", () => new DriveInfo(home.Root).TotalSize, "By", "Size of the home folder's filesystem.");
        meter.CreateObservableGauge("process.uptime", Uptime, "s", "The time the process has been running.");
    }

    /// <param name="type">The problem's stable type.</param>
    public void Problem(string type, int status) =>
        problems.Add(1, new("error.type", type[(type.LastIndexOf(':') + 1)..]), new("http.response.status_code", status));

    public void Dispose() => meter.Dispose();

    private static IEnumerable<Measurement<double>> ProcessorTimes()
    {
        using var process = Process.GetCurrentProcess();
        yield return new(process.UserProcessorTime.TotalSeconds, new KeyValuePair<string, object?>("cpu.mode", "user"));
        yield return new(process.PrivilegedProcessorTime.TotalSeconds, new KeyValuePair<string, object?>("cpu.mode", "system"));
    }

    private static double Uptime()
    {
        using var process = Process.GetCurrentProcess();
        return (TimeProvider.System.GetUtcNow() - process.StartTime).TotalSeconds; // a process starts by the system's clock alone
    }

    private static long Of(Func<Process, long> value)
    {
        using var process = Process.GetCurrentProcess();
        return value(process);
    }
}
