namespace ModelOps.Temporal;

/// <summary>Rings when something is due: one alarm per key, kept in memory and computed again from stored state after a restart.</summary>
internal sealed class Alarms<T> : IDisposable
    where T : class
{
    private static readonly TimeSpan longest = TimeSpan.FromDays(1);
    private readonly TimeProvider time;
    private readonly ITimer timer;
    private readonly SortedSet<(DateTimeOffset At, long Order, T Key)> alarms = new(
        Comparer<(DateTimeOffset At, long Order, T Key)>.Create((one, other) => (one.At, one.Order).CompareTo((other.At, other.Order))));

    private readonly Dictionary<T, (DateTimeOffset At, long Order, T Key)> byKey = [];
    private DateTimeOffset armed = DateTimeOffset.MaxValue;
    private long order;

    /// <param name="time">The clock.</param>
    /// <param name="ring">Something may be due: take it with <see cref="TakeDue"/>.</param>
    public Alarms(TimeProvider time, Action ring)
    {
        this.time = time;
        timer = time.CreateTimer(_ => ring(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Set(T key, DateTimeOffset at)
    {
        if (byKey.TryGetValue(key, out var old))
        {
            if (old.At == at)
                return;
            alarms.Remove(old);
            byKey.Remove(key);
        }
        if (at < DateTimeOffset.MaxValue)
        {
            var alarm = (at, order++, key);
            alarms.Add(alarm);
            byKey[key] = alarm;
        }
        Arm();
    }

    public List<T> TakeDue()
    {
        var due = new List<T>();
        var now = time.GetUtcNow();
        while (alarms.Count > 0 && alarms.Min is var next && next.At <= now)
        {
            alarms.Remove(next);
            byKey.Remove(next.Key);
            due.Add(next.Key);
        }
        armed = DateTimeOffset.MaxValue;
        Arm();
        return due;
    }

    public void Dispose() => timer.Dispose();

    private void Arm()
    {
        if (alarms.Count == 0 || alarms.Min.At >= armed)
            return;
        armed = alarms.Min.At;
        var wait = armed - time.GetUtcNow();
        wait = wait < TimeSpan.Zero ? TimeSpan.Zero : wait > longest ? longest : wait + TimeSpan.FromMilliseconds(1);
        timer.Change(wait, Timeout.InfiniteTimeSpan);
    }
}
