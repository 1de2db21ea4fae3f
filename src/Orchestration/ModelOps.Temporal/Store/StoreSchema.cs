using ModelOps.Temporal.Visibility;

namespace ModelOps.Temporal;

internal static class StoreSchema
{
    /// <summary>Times are .NET ticks, UTC. A history event, an inbox event and an activity's attempt are protobuf messages.</summary>
    public const string Create = $"""
        CREATE TABLE IF NOT EXISTS runs (
            number INTEGER PRIMARY KEY,
            namespace TEXT NOT NULL,
            workflow_id TEXT NOT NULL,
            run_id TEXT NOT NULL UNIQUE,
            request_id TEXT NOT NULL,
            status INTEGER NOT NULL,
            start_time INTEGER NOT NULL,
            close_time INTEGER);
        CREATE INDEX IF NOT EXISTS runs_by_workflow ON runs (namespace, workflow_id, number);
        CREATE INDEX IF NOT EXISTS runs_open ON runs (number) WHERE status = 1;
        CREATE INDEX IF NOT EXISTS runs_closed ON runs (close_time) WHERE close_time IS NOT NULL;
        CREATE TABLE IF NOT EXISTS events (run INTEGER, id INTEGER, event BLOB NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS inbox (run INTEGER, id INTEGER, event BLOB NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS namespaces (name TEXT PRIMARY KEY, info BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS search_attributes (namespace TEXT, name TEXT, type INTEGER NOT NULL, PRIMARY KEY (namespace, name));
        CREATE TABLE IF NOT EXISTS schedules (
            namespace TEXT,
            id TEXT,
            request_id TEXT NOT NULL,
            state BLOB NOT NULL,
            memo BLOB NOT NULL,
            search_attributes BLOB NOT NULL,
            PRIMARY KEY (namespace, id));
        {VisibilityTable.Create}
        CREATE TABLE IF NOT EXISTS activities (run INTEGER, id INTEGER, info BLOB NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;
        """;
}
