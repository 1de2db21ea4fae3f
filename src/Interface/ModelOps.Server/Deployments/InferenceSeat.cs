using ModelOps.Inference;
using ModelOps.Inference.Wire;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Deployments;

/// <summary>What is done with the worker of a seat.</summary>
/// <param name="LoadAsync">Loads all that is placed at the seat and not in the worker yet.</param>
/// <param name="Died">Nothing of it answers any longer.</param>
internal sealed record SeatDuties(Func<SeatedWorker, CancellationToken, Task> LoadAsync, Action<SeatedWorker> Died);

/// <summary>A process that a seat has.</summary>
internal sealed class SeatedWorker(InferenceSeat seat, WorkerProcess process)
{
    public InferenceSeat Seat => seat;

    public WorkerProcess Process => process;

    public WorkerBackend Backend { get; } = new(new InferenceEngine.InferenceEngineClient(process.Channel));

    public bool HasEnded => process.Exited.IsCompleted;
}

/// <summary>
/// A place for an inference worker: it has a process of its own, and another one when that died. What is placed here is loaded in whichever it has.
/// </summary>
internal sealed partial class InferenceSeat : IDisposable
{
    private static readonly TimeSpan firstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan longestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan statusInterval = TimeSpan.FromSeconds(1);
    private readonly int number;
    private readonly WorkerSupervisor workers;
    private readonly WorkerMetrics metrics;
    private readonly SeatDuties duties;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly CancellationTokenSource leaving = new();
    private readonly CancellationToken left;
    private volatile TaskCompletionSource<SeatedWorker> taken = NewSignal();
    private volatile SeatedWorker? worker;
    private Task life = Task.CompletedTask;
    private bool disposed;

    /// <param name="number">From 1; no two have the same.</param>
    public InferenceSeat(int number, WorkerSupervisor workers, WorkerMetrics metrics, SeatDuties duties, TimeProvider time, ILogger logger)
    {
        (this.number, this.workers, this.metrics, this.duties, this.time, this.logger) = (number, workers, metrics, duties, time, logger);
        left = leaving.Token;
    }

    public int Number => number;

    /// <summary>Null while it waits for a process.</summary>
    public SeatedWorker? Worker => worker;

    public void Begin() => life = Task.Run(LiveAsync);

    /// <summary>Waits for a process.</summary>
    /// <exception cref="InferenceException">It could not be started.</exception>
    public Task<SeatedWorker> WorkerAsync(CancellationToken cancellationToken) => taken.Task.WaitAsync(cancellationToken);

    /// <summary>Asks the worker anew what it has in memory; without an answer what it said last stays.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        if (worker is not { } asked) return;
        try
        {
            var status = await asked.Backend.StatusAsync(cancellationToken);
            if (worker == asked) metrics.Set(number, status);
        }
        catch (InferenceException e)
        {
            Log.NoStatus(logger, number, e.Message);
        }
    }

    /// <summary>Gives its process back, which ends when nobody else needs it.</summary>
    public async Task LeaveAsync()
    {
        await leaving.CancelAsync();
        await life;
    }

    /// <summary>Where the server could not start nobody told it to leave.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        leaving.Cancel();
        leaving.Dispose();
    }

    private async Task LiveAsync()
    {
        while (!left.IsCancellationRequested)
        {
            try
            {
                using var lease = await workers.LeaseAsync(WorkerRole.Inference, left); // which pauses between starts that fail
                var seated = new SeatedWorker(this, lease.Process);
                worker = seated;
                taken.SetResult(seated);
                await Task.WhenAll(LoadAsync(seated), WatchAsync(seated));
            }
            catch (WorkerStartException e)
            {
                Log.NotStarted(logger, e, number);
                var waiting = taken;
                taken = NewSignal();
                waiting.SetException(new InferenceException(InferenceError.Unavailable, e.Message, e));
                _ = waiting.Task.Exception; // nobody may have waited
            }
            catch (OperationCanceledException) when (left.IsCancellationRequested)
            {
                // As told.
            }
        }
        worker = null;
        metrics.Remove(number);
    }

    /// <summary>Until all is loaded, or the worker is dead.</summary>
    private async Task LoadAsync(SeatedWorker seated)
    {
        var pause = firstPause;
        while (!seated.HasEnded)
        {
            try
            {
                await duties.LoadAsync(seated, left);
                return;
            }
            catch (Exception e) when (!left.IsCancellationRequested)
            {
                Log.NotLoaded(logger, e, number);
                await Task.WhenAny(seated.Process.Exited, Task.Delay(pause, time, left));
                left.ThrowIfCancellationRequested();
                pause = pause * 2 < longestPause ? pause * 2 : longestPause;
            }
        }
    }

    /// <summary>Until the worker's end.</summary>
    private async Task WatchAsync(SeatedWorker seated)
    {
        while (!seated.HasEnded)
        {
            await RefreshAsync(left);
            await Task.WhenAny(seated.Process.Exited, Task.Delay(statusInterval, time, left));
            left.ThrowIfCancellationRequested();
        }
        worker = null;
        taken = NewSignal();
        metrics.Remove(number);
        Log.Died(logger, number, seated.Process.HowItEnded);
        duties.Died(seated);
    }

    private static TaskCompletionSource<SeatedWorker> NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "inference worker {Number} {HowItEnded}; its deployments are loaded again")]
        public static partial void Died(ILogger logger, int number, string howItEnded);

        [LoggerMessage(2, LogLevel.Error, "deployments could not be loaded in inference worker {Number}; trying again")]
        public static partial void NotLoaded(ILogger logger, Exception exception, int number);

        [LoggerMessage(3, LogLevel.Error, "inference worker {Number} could not be started; trying again")]
        public static partial void NotStarted(ILogger logger, Exception exception, int number);

        [LoggerMessage(4, LogLevel.Warning, "inference worker {Number} does not say what it has loaded: {Reason}")]
        public static partial void NoStatus(ILogger logger, int number, string reason);
    }
}
