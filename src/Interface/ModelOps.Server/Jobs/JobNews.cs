using System.Collections.Concurrent;

namespace ModelOps.Server.Jobs;

/// <summary>
/// Wakes who watches a job when it has a new event, here or on another server. It is a wake-up and no more: events are read from the database
/// by their number, and who waits looks there anyway after a while, so that none is lost with a message.
/// </summary>
/// <param name="lookAnyway">After which time; infinite where this server alone writes to its database.</param>
public class JobNews(TimeSpan lookAnyway, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> waiting = new(StringComparer.Ordinal);

    /// <summary>Take it before reading, so that an event in between is not missed.</summary>
    public Task Next(string job) =>
        waiting.GetOrAdd(job, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Returns when there may be a new event.</summary>
    /// <param name="next">Of <see cref="Next"/>.</param>
    public async Task WaitAsync(Task next, CancellationToken cancellationToken)
    {
        using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(next, Task.Delay(LookAnyway, time, look.Token));
        await look.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>The job has a new event, which is committed.</summary>
    public virtual void Publish(string job) => Wake(job);

    protected virtual TimeSpan LookAnyway => lookAnyway;

    protected void Wake(string job)
    {
        if (waiting.TryRemove(job, out var watchers)) watchers.SetResult();
    }

    protected void WakeAll()
    {
        foreach (var job in waiting.Keys) Wake(job);
    }
}
