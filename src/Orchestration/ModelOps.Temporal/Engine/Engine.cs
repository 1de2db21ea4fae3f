using Microsoft.Extensions.Logging;

namespace ModelOps.Temporal;

/// <summary>
/// Every open run in memory behind one lock. A call's change to its run, and what follows from it in other runs, happen in one
/// transaction: together in memory, together in one commit. No answer leaves before what it shows is on disk
/// (<see cref="DurableAsync"/>).
/// </summary>
internal sealed class Engine : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly Store store;
    private readonly StoreReader reader;
    private readonly TimeProvider time;
    private readonly Dictionary<string, Run> open = [];
    private readonly Dictionary<(string Namespace, string WorkflowId), Run> current = [];
    private readonly Dictionary<QueueKey, TaskQueue> queues = [];
    private readonly Alarms<Run> alarms;
    private readonly List<Run> touched = [];
    private readonly HashSet<Run> dirty = [];
    private readonly List<Run> closing = [];
    private readonly Dictionary<Run, TaskCompletionSource> watchers = [];
    private TaskCompletionSource saving = NewPromise();
    private Task saved = Task.CompletedTask;
    private long lastRunNumber;
    private bool stopped;

    public Engine(TemporalServerOptions options, ILoggerFactory loggerFactory)
    {
        time = options.TimeProvider;
        store = Store.Open(options.DatabasePath, loggerFactory.CreateLogger<Store>());
        reader = store.Read();
        lastRunNumber = reader.LastRunNumber();
        alarms = new Alarms<Run>(time, Ring);
        Recover();
        store.Start(TakeBatch);
    }

    public int OpenRuns
    {
        get
        {
            lock (gate)
                return open.Count;
        }
    }

    /// <summary>Changes runs, with everything that follows in other runs.</summary>
    public T Transact<T>(Func<T> change)
    {
        lock (gate)
        {
            try
            {
                return change();
            }
            finally
            {
                Settle();
            }
        }
    }

    /// <summary>Completes when all that was changed before the call is on disk.</summary>
    public Task DurableAsync()
    {
        lock (gate)
            return dirty.Count == 0 ? saved : saving.Task;
    }

    /// <summary>In a transaction: a run in memory, open or not yet stored as closed. No run id means the newest run.</summary>
    public Run? FindOpen(string ns, string workflowId, string runId)
    {
        var run = runId.Length > 0 ? open.GetValueOrDefault(runId) : current.GetValueOrDefault((ns, workflowId));
        return run is null || run.Key.Namespace != ns || (workflowId.Length > 0 && run.Key.WorkflowId != workflowId) ? null : Touch(run);
    }

    /// <summary>In a transaction: the run that a task token names.</summary>
    public Run? FindOpen(ByteString taskToken) => open.GetValueOrDefault(TaskToken.RunId(taskToken)) is { } run ? Touch(run) : null;

    /// <summary>In a transaction: the row of a run, open or closed. No run id means the newest run.</summary>
    public RunRow? FindRow(string ns, string workflowId, string runId) =>
        FindOpen(ns, workflowId, runId) is { } run ? Row(run)
        : runId.Length > 0 ? reader.Find(ns, workflowId, runId)
        : reader.FindLatest(ns, workflowId);

    /// <summary>In a transaction: starts a run.</summary>
    public Run Start(RunKey key, string requestId, WorkflowExecutionStartedEventAttributes start, Action<Run>? then = null)
    {
        var run = new Run(key, ++lastRunNumber, requestId, time);
        Add(run);
        Touch(run);
        run.Lifetime.Begin(start);
        then?.Invoke(run);
        return run;
    }

    /// <summary>Waits for a task; null when none came in time.</summary>
    public async Task<Handout?> PollAsync(QueueKey key, Poller poller, TimeSpan patience, CancellationToken cancellationToken)
    {
        var queue = Transact(() =>
        {
            var polled = Queue(key);
            if (stopped)
                poller.Give(null);
            else
                polled.Add(poller);
            return polled;
        });
        var handout = await GivenAsync(poller, patience, cancellationToken).ConfigureAwait(false);
        if (handout is null)
        {
            lock (gate)
                queue.Remove(poller);
            handout = await poller.Given.ConfigureAwait(false);
        }
        await DurableAsync().ConfigureAwait(false);
        if (handout is null || !cancellationToken.IsCancellationRequested)
            return handout;
        Transact(() =>
        {
            handout.Return();
            return true;
        });
        return null;
    }

    /// <summary>In a transaction: completes at the run's next change.</summary>
    public Task ChangeAsync(Run run)
    {
        if (!watchers.TryGetValue(run, out var watcher))
            watchers[run] = watcher = NewPromise();
        return watcher.Task;
    }

    public StoreReader Read() => store.Read();

    /// <summary>A worker stops: its polls end, and what waits for it alone goes to the others.</summary>
    public void ShutdownWorker(string ns, string taskQueue, string stickyQueue, string instanceKey)
    {
        Transact(() =>
        {
            foreach (var kind in System.Enum.GetValues<TaskKind>())
                Queue(new(ns, kind, taskQueue)).Remove(poller => poller.InstanceKey == instanceKey);
            if (stickyQueue.Length == 0)
                return false;
            var sticky = Queue(new(ns, TaskKind.Workflow, stickyQueue));
            sticky.Remove(_ => true);
            foreach (var left in sticky.Abandon().Where(offer => offer.IsValid))
            {
                left.Run.Task.Unstick();
                Dispatch(Touch(left.Run));
            }
            return true;
        });
    }

    /// <summary>Ends the polls, so that workers and the listener can stop.</summary>
    public void Stop() => Transact(() =>
    {
        stopped = true;
        foreach (var queue in queues.Values)
            queue.Remove(_ => true);
        return stopped;
    });

    public async ValueTask DisposeAsync()
    {
        alarms.Dispose();
        await store.DisposeAsync().ConfigureAwait(false);
        reader.Dispose();
    }

    private static TaskCompletionSource NewPromise() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static RunRow Row(Run run) =>
        new(run.Number, run.Key, run.RequestId, run.Lifetime.Status, run.Lifetime.StartTime, run.Lifetime.CloseTime);

    private static async Task<Handout?> GivenAsync(Poller poller, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            return await poller.Given.WaitAsync(patience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private void Recover()
    {
        lock (gate)
        {
            foreach (var stored in reader.OpenRuns())
            {
                var run = Run.Restore(stored.Row.Key, stored.Row.Number, stored.Row.RequestId, time, stored.Events);
                foreach (var (id, info) in stored.Activities)
                    run.Activities.Restore(id, Temporalio.Api.Workflow.V1.PendingActivityInfo.Parser.ParseFrom(info));
                foreach (var received in stored.Inbox)
                    run.AddToInbox(received);
                Add(run);
            }
            foreach (var run in open.Values.ToArray())
            {
                Touch(run).Resume();
                Settle();
            }
        }
    }

    private void Add(Run run)
    {
        open[run.Key.RunId] = run;
        current[(run.Key.Namespace, run.Key.WorkflowId)] = run;
    }

    private void Forget(Run run)
    {
        open.Remove(run.Key.RunId);
        var key = (run.Key.Namespace, run.Key.WorkflowId);
        if (current.GetValueOrDefault(key) == run)
            current.Remove(key);
    }

    private Run Touch(Run run)
    {
        if (!touched.Contains(run))
            touched.Add(run);
        return run;
    }

    /// <summary>Ends a transaction: carries the effects out, which may touch further runs, and leaves the changes to be stored.</summary>
    private void Settle()
    {
        // 1. Effects, until there are none.
        for (var settled = false; !settled;)
        {
            settled = true;
            for (var i = 0; i < touched.Count; i++)
            {
                while (touched[i].Effects.TryDequeue(out var effect))
                {
                    settled = false;
                    Carry(touched[i], effect);
                }
            }
        }

        // 2. Alarms, watchers, and the next commit.
        foreach (var run in touched)
        {
            alarms.Set(run, run.Deadline);
            if (run.IsChanged && dirty.Add(run))
                store.Signal();
            if (watchers.Remove(run, out var watcher))
                watcher.SetResult();
        }
        touched.Clear();
    }

    private void Carry(Run run, Effect effect)
    {
        switch (effect)
        {
            case Effect.DispatchWorkflowTask when run.Task.State == WorkflowTaskState.Scheduled:
                Dispatch(run);
                break;
            case Effect.DispatchActivity { Activity: var activity }:
                Offer(
                    new ActivityOffer(run, activity) { Priority = PriorityOf(activity.Scheduled.Priority) },
                    TaskKind.Activity,
                    activity.Scheduled.TaskQueue.Name);
                break;
            case Effect.Closed:
                foreach (var offer in run.Offers.ToArray())
                    offer.Queue?.Remove(offer);
                break;
        }
    }

    private void Dispatch(Run run)
    {
        var sticky = run.Task.Sticky?.WorkerTaskQueue.Name;
        if (sticky is not null && !Queue(new(run.Key.Namespace, TaskKind.Workflow, sticky)).HasPollers)
        {
            run.Task.Unstick();
            sticky = null;
        }
        Offer(new WorkflowTaskOffer(run) { Priority = PriorityOf(run.Start.Priority) }, TaskKind.Workflow, sticky ?? run.Start.TaskQueue.Name);
    }

    private void Offer(Offer offer, TaskKind kind, string queue) => Queue(new(offer.Run.Key.Namespace, kind, queue)).Add(offer);

    private static int PriorityOf(Priority? priority) => priority is { PriorityKey: > 0 } ? priority.PriorityKey : 3;

    private TaskQueue Queue(QueueKey key)
    {
        if (!queues.TryGetValue(key, out var queue))
            queues[key] = queue = new TaskQueue(key, time);
        return queue;
    }

    private void Ring()
    {
        lock (gate)
        {
            foreach (var run in alarms.TakeDue())
                Touch(run).Elapse();
            Settle();
        }
    }

    private (StoreBatch Batch, TaskCompletionSource Durable)? TakeBatch()
    {
        lock (gate)
        {
            // 1. What the last batch closed is on disk now and leaves memory.
            foreach (var closed in closing.Where(run => !dirty.Contains(run)))
                Forget(closed);
            closing.Clear();
            if (dirty.Count == 0)
                return null;

            // 2. Everything that changed since, together.
            var batch = new StoreBatch([.. dirty.Select(run => new RunChange(Row(run), run))]);
            closing.AddRange(dirty.Where(run => run.Closed));
            dirty.Clear();
            var durable = saving;
            saved = durable.Task;
            saving = NewPromise();
            return (batch, durable);
        }
    }
}
