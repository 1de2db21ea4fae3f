using System.Diagnostics.Metrics;
using ModelOps.Client;
using ModelOps.Server.Telemetry;

namespace ModelOps.Server.Workers;

/// <summary>The worker processes of this server, per role: how many, what they run and take, what waits for them, how often they died.</summary>
public sealed class WorkerMeters : IDisposable
{
    private const int Core = 100; // what a worker says is in hundredths of a core
    private readonly Meter meter;
    private readonly WorkerSupervisor workers;

    public WorkerMeters(IMeterFactory meters, WorkerSupervisor workers)
    {
        this.workers = workers;
        meter = meters.Create(ServerMetrics.MeterName);
        meter.CreateObservableGauge("modelops.worker.processes", Processes, "{process}", "Worker processes by what they do.");
        meter.CreateObservableGauge("modelops.worker.tasks", () => Sum(worker => worker.Tasks), "{task}", "Activities or generations that workers run.");
        meter.CreateObservableGauge("modelops.worker.memory.usage", () => Sum(worker => worker.Memory), "By", "The amount of physical memory in use by workers.");
        meter.CreateObservableGauge("modelops.worker.cpu.utilization", () => Sum(worker => worker.CpuPercent / Core), "1", "Processor time of workers per time: 1 is one core.");
        meter.CreateObservableCounter("modelops.worker.restarts", Restarts, "{restart}", "Times that a worker process died or could not be started.");
        meter.CreateObservableGauge("modelops.worker.queue.length", Waiting, "{task}", "Tasks that wait for a process of the role.");
    }

    public void Dispose() => meter.Dispose();

    private static KeyValuePair<string, object?> Role(string name) => new("worker.role", name);

    private IEnumerable<Measurement<int>> Processes() => workers.List().Where(worker => worker.State != WorkerState.Waiting).GroupBy(worker => (worker.Role, worker.State))
        .Select(same => new Measurement<int>(same.Count(), Role(same.Key.Role), new("worker.state", same.Key.State.ToString().ToLowerInvariant())));

    private IEnumerable<Measurement<double>> Sum(Func<Worker, double> value) =>
        workers.List().GroupBy(worker => worker.Role, StringComparer.Ordinal).Select(same => new Measurement<double>(same.Sum(value), Role(same.Key)));

    private IEnumerable<Measurement<int>> Restarts() => workers.Restarts.Select(role => new Measurement<int>(role.Value, Role(role.Key)));

    private IEnumerable<Measurement<int>> Waiting() => workers.Backlogs.Select(role => new Measurement<int>(role.Value, Role(role.Key)));
}
