namespace ModelOps.Temporal;

internal enum TaskKind
{
    Workflow,
    Activity,
}

internal sealed record QueueKey(string Namespace, TaskKind Kind, string Name);

/// <summary>A worker that waits for one task.</summary>
internal sealed class Poller(string identity, string instanceKey, bool isSticky)
{
    private readonly TaskCompletionSource<Handout?> given = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Identity => identity;

    /// <summary>Names the worker process, so that its shutdown ends its polls.</summary>
    public string InstanceKey => instanceKey;

    /// <summary>Whether it polls the queue of one worker's cached runs.</summary>
    public bool IsSticky => isSticky;

    public Task<Handout?> Given => given.Task;

    /// <param name="handout">Null when there is none.</param>
    public void Give(Handout? handout) => given.TrySetResult(handout);
}

/// <summary>A task that was handed to a worker.</summary>
internal abstract record Handout(Run Run)
{
    /// <summary>Takes the task back: its worker went away before it got the answer.</summary>
    public abstract void Return();
}

/// <summary>A task that waits for a worker. It is out of date when its run went on without it.</summary>
internal abstract class Offer
{
    /// <summary>Of Temporal: 1 is the most urgent, 3 the default, 5 the least.</summary>
    public int Priority { get; init; } = 3;

    /// <summary>Where it waits.</summary>
    public TaskQueue? Queue { get; set; }

    public long Order { get; set; }
    public DateTimeOffset Since { get; set; }
    public abstract Run Run { get; }
    public abstract bool IsValid { get; }

    public abstract Handout Begin(Poller poller);
}

/// <summary>Matches waiting tasks with waiting workers, the urgent and the old ones first.</summary>
internal sealed class TaskQueue(QueueKey key, TimeProvider time)
{
    private static readonly TimeSpan pollerMemory = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan pollGap = TimeSpan.FromSeconds(5);
    private readonly SortedSet<Offer> offers = new(Comparer<Offer>.Create(Compare));
    private readonly LinkedList<Poller> pollers = new();
    private readonly Dictionary<string, DateTimeOffset> recentPollers = [];
    private DateTimeOffset lastPoll;
    private long order;

    public bool IsPolled => pollers.Count > 0;

    public QueueKey Key => key;

    /// <summary>Whether somebody polls it, or did a moment ago.</summary>
    public bool HasPollers => pollers.Count > 0 || time.GetUtcNow() - lastPoll < pollGap;

    public IEnumerable<Offer> Offers => offers.Where(offer => offer.IsValid);

    public IEnumerable<(string Identity, DateTimeOffset LastAccess)> RecentPollers =>
        recentPollers.Where(poller => time.GetUtcNow() - poller.Value < pollerMemory).Select(poller => (poller.Key, poller.Value));

    public void Add(Offer offer)
    {
        offer.Queue = this;
        offer.Order = order++;
        offer.Since = time.GetUtcNow();
        offers.Add(offer);
        offer.Run.Offers.Add(offer);
        Match();
    }

    public void Remove(Offer offer)
    {
        offers.Remove(offer);
        offer.Run.Offers.Remove(offer);
        offer.Queue = null;
    }

    public void Add(Poller poller)
    {
        Touch(poller);
        pollers.AddLast(poller);
        Match();
    }

    public void Remove(Poller poller)
    {
        Touch(poller);
        pollers.Remove(poller);
        poller.Give(null);
    }

    /// <summary>Ends the polls of a worker that stops.</summary>
    public void Remove(Func<Poller, bool> leaving)
    {
        foreach (var poller in pollers.Where(leaving).ToArray())
            Remove(poller);
    }

    public Offer[] TakeAll()
    {
        var left = offers.ToArray();
        foreach (var offer in left)
            Remove(offer);
        return left;
    }

    private static int Compare(Offer? one, Offer? other) => (one!.Priority, one.Order).CompareTo((other!.Priority, other.Order));

    private void Match()
    {
        while (pollers.First is { } first && offers.Min is { } offer)
        {
            Remove(offer);
            if (!offer.IsValid)
                continue;
            pollers.RemoveFirst();
            first.Value.Give(offer.Begin(first.Value));
        }
    }

    private void Touch(Poller poller)
    {
        lastPoll = time.GetUtcNow();
        recentPollers[poller.Identity] = lastPoll;
    }
}
