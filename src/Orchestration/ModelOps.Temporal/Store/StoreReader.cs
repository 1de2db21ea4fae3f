using Microsoft.Data.Sqlite;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal;

/// <summary>Reads what is committed.</summary>
internal sealed class StoreReader(SqliteConnection connection) : IDisposable
{
    private const string columns = "number, namespace, workflow_id, run_id, request_id, status, start_time, close_time";

    public long LastRunNumber() => Query("SELECT coalesce(max(number), 0) FROM runs", row => row.GetInt64(0))[0];

    /// <summary>A run by its id.</summary>
    public RunRow? Find(string ns, string workflowId, string runId) => Query(
        $"SELECT {columns} FROM runs WHERE run_id = $p0 AND namespace = $p1 AND $p2 IN ('', workflow_id)", ReadRow, runId, ns, workflowId)
        .SingleOrDefault();

    /// <summary>The newest run of a workflow id.</summary>
    public RunRow? FindLatest(string ns, string workflowId) => Query(
        $"SELECT {columns} FROM runs WHERE namespace = $p0 AND workflow_id = $p1 ORDER BY number DESC LIMIT 1", ReadRow, ns, workflowId)
        .SingleOrDefault();

    public long EventCount(long run) => Query("SELECT coalesce(max(id), 0) FROM events WHERE run = $p0", row => row.GetInt64(0), run)[0];

    /// <summary>The events of a run after one id and up to another, at most <paramref name="limit"/> of them.</summary>
    public List<HistoryEvent> Events(long run, long after, long upTo, int limit) => Query(
        "SELECT event FROM events WHERE run = $p0 AND id > $p1 AND id <= $p2 ORDER BY id LIMIT $p3",
        row => ReadEvent(row, 0), run, after, upTo, limit);

    /// <summary>The events of a run before an id, the newest first.</summary>
    public List<HistoryEvent> EventsBackwards(long run, long before, int limit) => Query(
        "SELECT event FROM events WHERE run = $p0 AND id < $p1 ORDER BY id DESC LIMIT $p2", row => ReadEvent(row, 0), run, before, limit);

    /// <summary>The runs of a namespace that closed before a time, at most <paramref name="limit"/> of them.</summary>
    public List<RunRow> ClosedBefore(string ns, DateTimeOffset time, int limit) => Query(
        $"SELECT {columns} FROM runs WHERE close_time < $p0 AND namespace = $p1 LIMIT $p2", ReadRow, time.UtcTicks, ns, limit);

    /// <summary>A page of a list, and the key of the page after it.</summary>
    public List<(WorkflowExecutionInfo Info, object?[] Key)> List(SqlStatement page) => Query(
        page.Text,
        row => (
            WorkflowExecutionInfo.Parser.ParseFrom((byte[])row[0]),
            Enumerable.Range(1, row.FieldCount - 1).Select(column => row.IsDBNull(column) ? null : row[column]).ToArray()),
        [.. page.Parameters]);

    /// <summary>A count's rows: one number, or status and number.</summary>
    public List<(WorkflowExecutionStatus? Status, long Count)> Count(SqlStatement count) => Query(
        count.Text,
        row => row.FieldCount == 1 ? ((WorkflowExecutionStatus?)null, row.GetInt64(0)) : ((WorkflowExecutionStatus)row.GetInt32(0), row.GetInt64(1)),
        [.. count.Parameters]);

    public List<byte[]> Namespaces() => Query("SELECT info FROM namespaces ORDER BY name", row => (byte[])row[0]);

    public List<(string Namespace, string Name, IndexedValueType Type)> AttributeTypes() => Query(
        "SELECT namespace, name, type FROM search_attributes", row => (row.GetString(0), row.GetString(1), (IndexedValueType)row.GetInt32(2)));

    public List<StoredSchedule> Schedules() => Query(
        "SELECT namespace, id, request_id, state, memo, search_attributes FROM schedules",
        row => new StoredSchedule(
            row.GetString(0), row.GetString(1), row.GetString(2), (byte[])row[3], Memo.Parser.ParseFrom((byte[])row[4]),
            SearchAttributes.Parser.ParseFrom((byte[])row[5])));

    /// <summary>Every run that is not closed, in the order of their starts.</summary>
    public IEnumerable<StoredRun> OpenRuns()
    {
        const string ofOpen = "WHERE run IN (SELECT number FROM runs WHERE status = 1) ORDER BY run, id";
        var runs = Query($"SELECT {columns} FROM runs WHERE status = 1 ORDER BY number", ReadRow);
        using var events = new RowsByRun<HistoryEvent>(connection, $"SELECT run, event FROM events {ofOpen}", row => ReadEvent(row, 1));
        using var activities = new RowsByRun<(long, byte[])>(
            connection, $"SELECT run, id, info FROM activities {ofOpen}", row => (row.GetInt64(1), (byte[])row[2]));
        using var inbox = new RowsByRun<HistoryEvent>(connection, $"SELECT run, event FROM inbox {ofOpen}", row => ReadEvent(row, 1));
        foreach (var run in runs)
            yield return new(run, events.Take(run.Number), activities.Take(run.Number), inbox.Take(run.Number));
    }

    public void Dispose() => connection.Dispose();

    private static HistoryEvent ReadEvent(SqliteDataReader row, int column) => HistoryEvent.Parser.ParseFrom((byte[])row[column]);

    private static RunRow ReadRow(SqliteDataReader row) => new(
        row.GetInt64(0),
        new RunKey(row.GetString(1), row.GetString(2), row.GetString(3)),
        row.GetString(4),
        (WorkflowExecutionStatus)row.GetInt32(5),
        new DateTimeOffset(row.GetInt64(6), TimeSpan.Zero),
        row.IsDBNull(7) ? null : new DateTimeOffset(row.GetInt64(7), TimeSpan.Zero));

    private List<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<object?> values)
    {
        using var statement = new Statement(connection, sql);
        return statement.Query(read, values);
    }

    /// <summary>Walks rows that are ordered by run beside the runs, so that a recovery reads each table once.</summary>
    private sealed class RowsByRun<T> : IDisposable
    {
        private readonly SqliteCommand command;
        private readonly SqliteDataReader reader;
        private readonly Func<SqliteDataReader, T> read;
        private bool more;

        public RowsByRun(SqliteConnection connection, string sql, Func<SqliteDataReader, T> read)
        {
            command = new SqliteCommand(sql, connection);
            reader = command.ExecuteReader();
            this.read = read;
            more = reader.Read();
        }

        public List<T> Take(long run)
        {
            var rows = new List<T>();
            for (; more && reader.GetInt64(0) == run; more = reader.Read())
                rows.Add(read(reader));
            return rows;
        }

        public void Dispose()
        {
            reader.Dispose();
            command.Dispose();
        }
    }
}
