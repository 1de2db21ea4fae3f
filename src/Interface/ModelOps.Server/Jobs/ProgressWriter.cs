using ModelOps.Client;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>Writes a job's progress at most five times a second; the newest always arrives.</summary>
public sealed class ProgressWriter : IProgress<ActivityProgress>, IAsyncDisposable
{
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(200);
    private readonly string id;
    private readonly JobStore store;
    private readonly Lock gate = new();
    private readonly ITimer timer;
    private ActivityProgress? newest;
    private Task writing = Task.CompletedTask;

    public ProgressWriter(string id, JobStore store, TimeProvider time)
    {
        (this.id, this.store) = (id, store);
        timer = time.CreateTimer(_ => _ = FlushAsync(), state: null, interval, interval);
    }

    public void Report(ActivityProgress value)
    {
        lock (gate) newest = value;
    }

    /// <summary>Returns once everything reported so far is written.</summary>
    public Task FlushAsync()
    {
        lock (gate)
        {
            if (newest is not { } progress) return writing;
            newest = null;
            return writing = WriteAsync(writing, progress);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await timer.DisposeAsync();
        await FlushAsync();
    }

    private async Task WriteAsync(Task before, ActivityProgress progress)
    {
        await before;
        await store.ReportAsync(id, new JobProgress(progress.Stage, progress.Step, progress.Total, progress.Metrics), CancellationToken.None);
    }
}
