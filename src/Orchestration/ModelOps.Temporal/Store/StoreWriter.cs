using Microsoft.Data.Sqlite;

namespace ModelOps.Temporal;

/// <summary>Writes batches, each in one transaction.</summary>
internal sealed class StoreWriter : IDisposable
{
    private readonly SqliteConnection connection;
    private readonly Statement saveRun, addEvent, saveActivity, deleteActivity, clearInbox, addInbox;

    public StoreWriter(SqliteConnection connection)
    {
        this.connection = connection;
        saveRun = new Statement(connection, """
            INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (number) DO UPDATE SET status = ?6, close_time = ?8
            """);
        addEvent = new Statement(connection, "INSERT INTO events VALUES (?1, ?2, ?3)");
        saveActivity = new Statement(connection, "INSERT OR REPLACE INTO activities VALUES (?1, ?2, ?3)");
        deleteActivity = new Statement(connection, "DELETE FROM activities WHERE run = ?1 AND id = ?2");
        clearInbox = new Statement(connection, "DELETE FROM inbox WHERE run = ?1");
        addInbox = new Statement(connection, "INSERT INTO inbox VALUES (?1, ?2, ?3)");
    }

    private Statement[] Statements => [saveRun, addEvent, saveActivity, deleteActivity, clearInbox, addInbox];

    public void Write(StoreBatch batch)
    {
        using var transaction = connection.BeginTransaction(deferred: false);
        foreach (var statement in Statements)
            statement.Transaction = transaction;
        foreach (var change in batch.Runs)
            Write(change);
        transaction.Commit();
    }

    public void Dispose()
    {
        saveRun.Dispose();
        addEvent.Dispose();
        saveActivity.Dispose();
        deleteActivity.Dispose();
        clearInbox.Dispose();
        addInbox.Dispose();
        connection.Dispose();
    }

    private void Write(RunChange change)
    {
        var row = change.Row;
        saveRun.Execute(
            row.Number, row.Key.Namespace, row.Key.WorkflowId, row.Key.RunId, row.RequestId, (int)row.Status,
            row.StartTime.UtcTicks, row.CloseTime?.UtcTicks);
        foreach (var added in change.Events)
            addEvent.Execute(row.Number, added.EventId, added.ToByteArray());
        foreach (var (id, info) in change.Activities)
        {
            if (info is null)
                deleteActivity.Execute(row.Number, id);
            else
                saveActivity.Execute(row.Number, id, info);
        }
        if (change.Inbox is not { } inbox)
            return;
        clearInbox.Execute(row.Number);
        for (var i = 0; i < inbox.Length; i++)
            addInbox.Execute(row.Number, i, inbox[i].ToByteArray());
    }
}
