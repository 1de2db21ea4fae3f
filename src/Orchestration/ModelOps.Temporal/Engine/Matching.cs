namespace ModelOps.Temporal;

/// <summary>Brings tasks and workers together: the queues of every namespace. Called in transactions, except for the polls.</summary>
internal sealed class Matching(Engine engine)
{
    private const int defaultPriority = 3;
    private readonly Dictionary<QueueKey, TaskQueue> queues = [];
    private bool stopped;

    /// <summary>A queue, made when it is asked for.</summary>
    public TaskQueue Queue(QueueKey key)
    {
        if (!queues.TryGetValue(key, out var queue))
            queues[key] = queue = new TaskQueue(key, engine.Time);
        return queue;
    }

    /// <summary>Offers a run's workflow task: to the worker that has the run in its cache, or to all.</summary>
    public void OfferWorkflowTask(Run run)
    {
        if (run.Task.Sticky is not null && StickyQueue(run) is null)
            run.Task.Unstick();
        var queue = StickyQueue(run) ?? Queue(new(run.Key.Namespace, TaskKind.Workflow, run.Start.TaskQueue.Name));
        queue.Add(new WorkflowTaskOffer(run) { Priority = PriorityOf(run.Start.Priority) });
    }

    public void OfferActivity(Run run, Activity activity) =>
        Queue(new(run.Key.Namespace, TaskKind.Activity, activity.Scheduled.TaskQueue.Name))
            .Add(new ActivityOffer(run, activity) { Priority = PriorityOf(activity.Scheduled.Priority) });

    /// <summary>Offers a question that no workflow task carries.</summary>
    /// <param name="run">Open or closed.</param>
    /// <param name="query">The question.</param>
    /// <param name="sticky">To the worker that has the run in its cache, when there is one.</param>
    /// <returns>The offer, to be withdrawn.</returns>
    public Offer OfferQuery(Run run, PendingQuery query, bool sticky)
    {
        var stickyQueue = sticky && !run.Closed ? StickyQueue(run) : null;
        var offer = new QueryOffer(run, query, stickyQueue is not null) { Priority = 1 };
        (stickyQueue ?? Queue(new(run.Key.Namespace, TaskKind.Workflow, run.Start.TaskQueue.Name))).Add(offer);
        return offer;
    }

    /// <summary>Waits for a task; null when none came in time.</summary>
    public async Task<Handout?> PollAsync(QueueKey key, Poller poller, TimeSpan patience, CancellationToken cancellationToken)
    {
        // 1. Wait.
        var queue = engine.Transact(() =>
        {
            var polled = Queue(key);
            if (stopped)
                poller.Give(null);
            else
                polled.Add(poller);
            return polled;
        });
        await ((Task)poller.Given).WaitAsync(patience, engine.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        // 2. Leave the queue, unless a task came; a sticky queue whose worker is gone gives up what waits in it.
        engine.Transact(() =>
        {
            queue.Remove(poller);
            if (cancellationToken.IsCancellationRequested && poller.IsSticky && !queue.IsPolled)
                Abandon(queue);
            return true;
        });
        var handout = await poller.Given.ConfigureAwait(false);

        // 3. Nobody works on what a crash would undo; and a task whose worker went away meanwhile goes back.
        await engine.DurableAsync().ConfigureAwait(false);
        if (handout is null || !cancellationToken.IsCancellationRequested)
            return handout;
        return engine.Transact<Handout?>(() =>
        {
            engine.Touch(handout.Run);
            handout.Return();
            return null;
        });
    }

    /// <summary>A worker stops: its polls end, and what waits for it alone goes to the others.</summary>
    public void Shutdown(string ns, string taskQueue, string stickyQueue, string instanceKey)
    {
        foreach (var kind in System.Enum.GetValues<TaskKind>())
            Queue(new(ns, kind, taskQueue)).Remove(poller => poller.InstanceKey == instanceKey);
        if (stickyQueue.Length == 0)
            return;
        var sticky = Queue(new(ns, TaskKind.Workflow, stickyQueue));
        sticky.Remove(_ => true);
        Abandon(sticky);
    }

    /// <summary>Ends the polls, so that workers and the listener can stop.</summary>
    public void Stop()
    {
        stopped = true;
        foreach (var queue in queues.Values)
            queue.Remove(_ => true);
    }

    private static int PriorityOf(Priority? priority) => priority is { PriorityKey: > 0 } ? priority.PriorityKey : defaultPriority;

    private TaskQueue? StickyQueue(Run run) =>
        run.Task.Sticky?.WorkerTaskQueue.Name is { } name && Queue(new(run.Key.Namespace, TaskKind.Workflow, name)) is { HasPollers: true } queue
            ? queue
            : null;

    private void Abandon(TaskQueue sticky)
    {
        if (queues.GetValueOrDefault(sticky.Key) == sticky)
            queues.Remove(sticky.Key);
        foreach (var offer in sticky.TakeAll().Where(offer => offer.IsValid))
        {
            var run = engine.Touch(offer.Run);
            run.Task.Unstick();
            if (offer is QueryOffer { Query: var query })
                OfferQuery(run, query, sticky: false);
            else
                OfferWorkflowTask(run);
        }
    }
}
