using Microsoft.Extensions.Logging;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.Workflow.V1;

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
    private readonly Dictionary<string, Run> open = [];
    private readonly Dictionary<(string Namespace, string WorkflowId), Run> current = [];
    private readonly Alarms<Run> alarms;
    private readonly CrossRuns crossRuns;
    private readonly List<Run> touched = [];
    private readonly HashSet<Run> dirty = [];
    private readonly List<Run> closing = [];
    private readonly List<SqlStatement> writes = [];
    private readonly Dictionary<Run, (long Revision, TaskCompletionSource Changed)> watchers = [];
    private readonly CancellationTokenSource stopping = new();
    private TaskCompletionSource saving = NewPromise();
    private Task saved = Task.CompletedTask;
    private long lastRunNumber;

    /// <param name="databasePath">Null for a temporary database.</param>
    /// <param name="logger">For commits that fail.</param>
    /// <param name="time">The clock.</param>
    public Engine(string? databasePath, ILogger logger, TimeProvider time)
    {
        store = Store.Open(databasePath, logger);
        Time = time;
        reader = store.Read();
        lastRunNumber = reader.LastRunNumber();
        alarms = new Alarms<Run>(time, Ring);
        Namespaces = new Namespaces(this, reader);
        Matching = new Matching(this);
        Schedules = new ScheduleRunner(this);
        crossRuns = new CrossRuns(this);
        Recover();
        store.Start(TakeBatch, Fail);
    }

    public TimeProvider Time { get; }

    /// <summary>Why nothing is written any more; null: all is well.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>The service stops: nobody waits any longer.</summary>
    public CancellationToken Stopping => stopping.Token;

    public Namespaces Namespaces { get; }
    public Matching Matching { get; }
    public ScheduleRunner Schedules { get; }

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

    /// <summary>As <see cref="Transact{T}"/>; completes when the change is on disk.</summary>
    public async Task<T> TransactAsync<T>(Func<T> change)
    {
        var result = Transact(change);
        await DurableAsync().ConfigureAwait(false);
        return result;
    }

    /// <summary>Completes when all that was changed before the call is on disk.</summary>
    public Task DurableAsync()
    {
        lock (gate)
            return Failure is not null ? saving.Task : dirty.Count == 0 && writes.Count == 0 ? saved : saving.Task;
    }

    /// <summary>In a transaction: a run in memory, open or not yet stored as closed. No run id means the newest run.</summary>
    public Run? FindOpen(string ns, WorkflowExecution execution)
    {
        var run = execution.RunId.Length > 0
            ? open.GetValueOrDefault(execution.RunId)
            : current.GetValueOrDefault((ns, execution.WorkflowId));
        return run?.Key is { } key && key.Namespace == ns && (execution.WorkflowId.Length == 0 || key.WorkflowId == execution.WorkflowId)
            ? Touch(run)
            : null;
    }

    /// <summary>In a transaction: the run that a task token names.</summary>
    public Run? FindOpen(ByteString taskToken) => open.GetValueOrDefault(TaskToken.RunId(taskToken)) is { } run ? Touch(run) : null;

    /// <summary>In a transaction: the row of a run, open or closed. No run id means the newest run.</summary>
    public RunRow? FindRow(string ns, WorkflowExecution execution) =>
        FindOpen(ns, execution) is { } run ? RunRow.Of(run)
        : execution.RunId.Length > 0 ? reader.Find(ns, execution.WorkflowId, execution.RunId)
        : reader.FindLatest(ns, execution.WorkflowId);

    /// <summary>In a transaction: a run, open or closed; a closed one as its history tells it, to be read only.</summary>
    public Run? Load(string ns, WorkflowExecution execution)
    {
        if (FindOpen(ns, execution) is { } run)
            return run;
        return FindRow(ns, execution) is { } row
            ? Run.Restore(row.Key, row.Number, row.RequestId, Time, reader.Events(row.Number, 0, long.MaxValue, int.MaxValue))
            : null;
    }

    /// <summary>In a transaction: starts a run.</summary>
    /// <param name="key">With an id that no run has yet.</param>
    /// <param name="requestId">Of the request that starts it.</param>
    /// <param name="begin">Writes its first events.</param>
    public Run Start(RunKey key, string requestId, Action<Run> begin)
    {
        var run = new Run(key, ++lastRunNumber, requestId, Time);
        Add(run);
        Touch(run);
        begin(run);
        return run;
    }

    /// <summary>In a transaction: the run changes in it.</summary>
    public Run Touch(Run run)
    {
        if (!touched.Contains(run))
            touched.Add(run);
        return run;
    }

    /// <summary>In a transaction: further rows for its commit.</summary>
    public void Write(SqlStatement statement)
    {
        writes.Add(statement);
        store.Signal();
    }

    /// <summary>In a transaction: completes when the run is not as it is now.</summary>
    public Task ChangeAsync(Run run)
    {
        if (run.Closed)
            return Task.CompletedTask;
        if (!watchers.TryGetValue(run, out var watcher) || watcher.Revision != run.Revision)
            watchers[run] = watcher = (run.Revision, watcher.Changed ?? NewPromise());
        return watcher.Changed.Task;
    }

    public StoreReader Read() => store.Read();

    /// <summary>Ends what waits, so that workers and the listener can stop.</summary>
    public Task StopAsync()
    {
        Transact(() =>
        {
            Matching.Stop();
            return true;
        });
        return stopping.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Schedules.Dispose();
        alarms.Dispose();
        await store.DisposeAsync().ConfigureAwait(false);
        reader.Dispose();
        stopping.Dispose();
    }

    private static TaskCompletionSource NewPromise() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Takes up every open run. Its state is what is stored; deadlines, queues and offers are computed from it.</summary>
    private void Recover()
    {
        lock (gate)
        {
            foreach (var stored in reader.OpenRuns())
            {
                var run = Run.Restore(stored.Row.Key, stored.Row.Number, stored.Row.RequestId, Time, stored.Events);
                foreach (var (id, info) in stored.Activities)
                    run.Activities.Restore(id, PendingActivityInfo.Parser.ParseFrom(info));
                foreach (var received in stored.Inbox)
                    run.AddToInbox(received);
                Add(run);
            }
            foreach (var run in open.Values.ToArray())
            {
                Touch(run).Resume();
                Settle();
            }
            Schedules.Recover(reader.Schedules());
            Settle();
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
                    crossRuns.Carry(touched[i], effect);
                }
            }
        }

        // 2. Alarms, watchers, and the next commit.
        foreach (var run in touched)
        {
            alarms.Set(run, run.Deadline);
            if (run.IsChanged && dirty.Add(run))
                store.Signal();
            if (watchers.TryGetValue(run, out var watcher) && watcher.Revision != run.Revision && watchers.Remove(run))
                watcher.Changed.SetResult();
        }
        touched.Clear();
    }

    /// <summary>What is in memory can never be on disk: no call is answered any more.</summary>
    private void Fail(Exception failure)
    {
        lock (gate)
        {
            Failure = failure;
            saving.TrySetException(failure);
        }
    }

    private void Ring() => Transact(() =>
    {
        foreach (var run in alarms.TakeDue())
            Touch(run).Elapse();
        return true;
    });

    private (StoreBatch Batch, TaskCompletionSource Durable)? TakeBatch()
    {
        lock (gate)
        {
            // 1. What the last batch closed is on disk now and leaves memory.
            foreach (var closed in closing.Where(run => !dirty.Contains(run)))
                Forget(closed);
            closing.Clear();
            if (dirty.Count == 0 && writes.Count == 0)
                return null;

            // 2. Everything that changed since, together.
            var changes = dirty.Select(run => new RunChange(run, Namespaces.AttributeTypes(run.Key.Namespace)));
            var batch = new StoreBatch([.. changes], [.. writes]);
            closing.AddRange(dirty.Where(run => run.Closed));
            dirty.Clear();
            writes.Clear();
            var durable = saving;
            saved = durable.Task;
            saving = NewPromise();
            return (batch, durable);
        }
    }
}
