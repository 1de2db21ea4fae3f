using Microsoft.Data.Sqlite;

namespace ModelOps.Temporal;

/// <summary>Writes batches, each in one transaction.</summary>
internal sealed class StoreWriter(SqliteConnection connection) : IDisposable
{
    private const string saveRun = """
        INSERT INTO runs VALUES ($p0, $p1, $p2, $p3, $p4, $p5, $p6, $p7) ON CONFLICT (number) DO UPDATE SET status = $p5, close_time = $p7
        """;

    private const string addEvent = "INSERT INTO events VALUES ($p0, $p1, $p2)";
    private const string saveActivity = "INSERT OR REPLACE INTO activities VALUES ($p0, $p1, $p2)";
    private const string deleteActivity = "DELETE FROM activities WHERE run = $p0 AND id = $p1";
    private const string clearInbox = "DELETE FROM inbox WHERE run = $p0";
    private const string addInbox = "INSERT INTO inbox VALUES ($p0, $p1, $p2)";
    private readonly Dictionary<string, Statement> prepared = [];

    public void Write(StoreBatch batch)
    {
        using var transaction = connection.BeginTransaction(deferred: false);
        foreach (var statement in prepared.Values)
            statement.Transaction = transaction;
        foreach (var change in batch.Runs)
            Write(change, transaction);
        foreach (var other in batch.Others)
            Execute(transaction, other.Text, [.. other.Parameters]);
        transaction.Commit();
    }

    public void Dispose()
    {
        foreach (var statement in prepared.Values)
            statement.Dispose();
        connection.Dispose();
    }

    private void Write(RunChange change, SqliteTransaction transaction)
    {
        var row = change.Row;
        Execute(
            transaction, saveRun, row.Number, row.Key.Namespace, row.Key.WorkflowId, row.Key.RunId, row.RequestId, (int)row.Status,
            row.StartTime.UtcTicks, row.CloseTime?.UtcTicks);
        foreach (var added in change.Events)
            Execute(transaction, addEvent, row.Number, added.EventId, added.ToByteArray());
        foreach (var (id, info) in change.Activities)
        {
            if (info is null)
                Execute(transaction, deleteActivity, row.Number, id);
            else
                Execute(transaction, saveActivity, row.Number, id, info);
        }
        if (change.Inbox is { } inbox)
        {
            Execute(transaction, clearInbox, row.Number);
            for (var i = 0; i < inbox.Length; i++)
                Execute(transaction, addInbox, row.Number, i, inbox[i]);
        }
        if (change.Visibility is { } visibility)
            Execute(transaction, visibility.Text, [.. visibility.Parameters]);
    }

    private void Execute(SqliteTransaction transaction, string sql, params ReadOnlySpan<object?> values)
    {
        if (!prepared.TryGetValue(sql, out var statement))
            prepared[sql] = statement = new Statement(connection, sql) { Transaction = transaction };
        statement.Execute(values);
    }
}
