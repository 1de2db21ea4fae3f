using ModelOps.Client;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>The processes of one role: starts, watches, hands out and stops them, as <see cref="WorkerScaling"/> decides.</summary>
/// <param name="first">How the first is started; the others differ in their number.</param>
/// <param name="start">Starts a process.</param>
public sealed partial class WorkerPool(
    WorkerLaunch first, WorkersOptions options, Func<WorkerLaunch, CancellationToken, Task<WorkerProcess>> start, WorkerObituary died, TimeProvider time,
    ILogger logger) : IDisposable
{
    private readonly WorkerRole role = first.Role;
    private readonly List<Slot> slots = [];
    private readonly Lock gate = new();
    private readonly CancellationTokenSource stopping = new();
    private TaskCompletionSource changed = NewSignal();
    private int waiting;
    private int failures;
    private int restarts;
    private int failedStarts;
    private DateTimeOffset lastFailure;
    private DateTimeOffset? retryAt;
    private string? lastError;

    /// <summary>When one that died may be started again; null when nothing waits for that.</summary>
    public DateTimeOffset? RetryAt
    {
        get
        {
            lock (gate) return retryAt;
        }
    }

    /// <summary>Starts and stops what the backlog asks for. It returns at once: what it begins goes on by itself.</summary>
    /// <param name="backlog">Tasks that wait for a process of the role, besides those that asked here.</param>
    public void Adjust(int backlog)
    {
        lock (gate)
        {
            if (stopping.IsCancellationRequested) return;
            Backlog = backlog + waiting;
            foreach (var slot in slots.Where(slot => slot.State == WorkerState.Ready))
            {
                slot.Process!.Measure();
                if (slot.IsBusy) slot.IdleSince = time.GetUtcNow();
            }
            var live = slots.Where(slot => slot.State != WorkerState.Stopping || slot.IsBusy).ToList(); // one may have taken a task as it was to leave
            var now = new RoleSnapshot(
                backlog + waiting,
                [.. live.Select(slot => new ProcessSnapshot(
                    slot.Instance,
                    IsBusy: slot.State != WorkerState.Starting && slot.IsBusy,
                    CanStop: slot is { State: WorkerState.Ready, IsBusy: false },
                    slot.IdleSince))],
                failures,
                lastFailure);
            var decision = WorkerScaling.Decide(options.Of(role), options, now, time.GetUtcNow());
            retryAt = decision.RetryAt;
            for (var i = 0; i < decision.Start; i++) Start();
            foreach (var slot in live.Where(slot => decision.Stop.Contains(slot.Instance))) Dismiss(slot, process => process.LeaveAsync());
        }
    }

    /// <summary>A ready process that nobody else leases, until the lease is disposed; waits for one.</summary>
    /// <exception cref="WorkerStartException">One could not be started, and none is starting.</exception>
    public async Task<WorkerLease> LeaseAsync(Action wake, CancellationToken cancellationToken)
    {
        var slot = await TakeAsync(wake, cancellationToken);
        return new(slot.Process!, () =>
        {
            lock (gate)
            {
                slot.IsLeased = false;
                slot.IdleSince = time.GetUtcNow();
                Signal();
            }
        });
    }

    /// <summary>Processes that died or could not be started.</summary>
    public int Restarts
    {
        get
        {
            lock (gate) return restarts;
        }
    }

    /// <summary>Tasks that waited for a process when last looked at.</summary>
    public int Backlog { get; private set; }

    public IReadOnlyList<Worker> List()
    {
        lock (gate)
        {
            var listed = slots.Select(slot => new Worker
            {
                Role = role.Name(),
                State = slot.State,
                ProcessId = slot.Process?.Id,
                Memory = slot.Process?.Memory ?? 0,
                CpuPercent = Math.Round(slot.Process?.CpuPercent ?? 0, 1),
                Tasks = slot.Process?.Tasks ?? 0,
                Threads = first.Threads,
                Restarts = restarts,
                Since = slot.Since,
                Error = lastError,
            }).ToList();
            if (retryAt is not null)
                listed.Add(new() { Role = role.Name(), State = WorkerState.Waiting, Threads = first.Threads, Restarts = restarts, Since = lastFailure, Error = lastError });
            return listed;
        }
    }

    /// <summary>Stops all of them, and starts none any longer.</summary>
    public async Task StopAsync()
    {
        await stopping.CancelAsync();
        List<Task> lives;
        lock (gate)
        {
            foreach (var slot in slots.Where(slot => slot.State is WorkerState.Ready or WorkerState.Stopping)) Dismiss(slot, process => process.StopAsync());
            lives = [.. slots.Select(slot => slot.Life)];
            Signal();
        }
        await Task.WhenAll(lives);
    }

    public void Dispose() => stopping.Dispose();

    private async Task<Slot> TakeAsync(Action wake, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopping.Token);
        int? startsFailedBefore = null;
        while (true)
        {
            Task next;
            lock (gate)
            {
                startsFailedBefore ??= failedStarts;
                if (slots.Find(slot => slot is { State: WorkerState.Ready, IsLeased: false } && !slot.Process!.Exited.IsCompleted) is { } slot)
                {
                    slot.IsLeased = true;
                    slot.IdleSince = time.GetUtcNow();
                    return slot;
                }
                if (failedStarts > startsFailedBefore && !slots.Exists(slot => slot.State == WorkerState.Starting)) throw new WorkerStartException(lastError!);
                next = changed.Task;
                waiting++;
            }
            try
            {
                wake();
                await next.WaitAsync(either.Token);
            }
            finally
            {
                lock (gate) waiting--;
            }
        }
    }

    private void Start()
    {
        var instance = Enumerable.Range(1, RoleOptions.MostProcesses + 1).First(number => slots.TrueForAll(slot => slot.Instance != number));
        var slot = new Slot { Instance = instance, Since = time.GetUtcNow() };
        slots.Add(slot);
        slot.Life = Task.Run(() => LiveAsync(slot));
    }

    private static void Dismiss(Slot slot, Func<WorkerProcess, Task> end)
    {
        slot.State = WorkerState.Stopping;
        slot.Stopped = Task.WhenAll(slot.Stopped, end(slot.Process!));
    }

    /// <summary>A process's life from its start to its end.</summary>
    private async Task LiveAsync(Slot slot)
    {
        string? death = null;
        try
        {
            slot.Process = await start(first with { Instance = slot.Instance }, stopping.Token);
            BecomeReady(slot);
            await slot.Process.Exited;
            if (slot.State != WorkerState.Stopping) death = $"the {role.Name()} worker {slot.Process.HowItEnded}";
        }
        catch (WorkerStartException e)
        {
            death = e.Message;
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
        End(slot, death);
        if (death is not null && slot.Process is { } dead) await TellAsync(dead.Id, death);
        await slot.Stopped;
        if (slot.Process is not null) await slot.Process.DisposeAsync();
    }

    private async Task TellAsync(int processId, string death)
    {
        try
        {
            await died(role, processId, death);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            Log.NotTold(logger, e, death);
        }
    }

    private void BecomeReady(Slot slot)
    {
        lock (gate)
        {
            (slot.State, slot.Since, slot.IdleSince) = (WorkerState.Ready, time.GetUtcNow(), time.GetUtcNow());
            if (stopping.IsCancellationRequested) Dismiss(slot, process => process.StopAsync());
            Signal();
        }
    }

    private void End(Slot slot, string? death)
    {
        lock (gate)
        {
            slots.Remove(slot);
            if (death is not null)
            {
                lastFailure = time.GetUtcNow();
                failures = WorkerScaling.FailuresAfter(failures, slot.Process is null ? TimeSpan.Zero : lastFailure - slot.Since, options);
                restarts++;
                if (slot.Process is null) failedStarts++;
                lastError = death;
                Log.Died(logger, death, failures, WorkerScaling.Pause(failures, options).TotalSeconds);
            }
            Signal();
        }
    }

    private void Signal()
    {
        changed.TrySetResult();
        changed = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Slot
    {
        public required int Instance { get; init; }

        public WorkerState State { get; set; } = WorkerState.Starting;

        /// <summary>Null until it is ready.</summary>
        public WorkerProcess? Process { get; set; }

        public Task Life { get; set; } = Task.CompletedTask;

        public Task Stopped { get; set; } = Task.CompletedTask;

        /// <summary>When its state began.</summary>
        public DateTimeOffset Since { get; set; }

        public DateTimeOffset IdleSince { get; set; }

        public bool IsLeased { get; set; }

        public bool IsBusy => IsLeased || Process!.Tasks > 0;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{HowItEnded}; death {Failures} in a row, the next is started after {Pause} s if it is needed")]
        public static partial void Died(ILogger logger, string howItEnded, int failures, double pause);

        [LoggerMessage(2, LogLevel.Error, "the job was not told that {HowItEnded}; it learns it from missed heartbeats")]
        public static partial void NotTold(ILogger logger, Exception exception, string howItEnded);
    }
}

/// <summary>A worker process that is one task's until this is disposed.</summary>
public sealed class WorkerLease(WorkerProcess process, Action release) : IDisposable
{
    public WorkerProcess Process => process;

    public void Dispose() => release();
}
