using ModelOps.Temporal.Visibility;

namespace ModelOps.Temporal;

/// <summary>Rows that are written beside runs.</summary>
internal static class Writes
{
    private static readonly string[] runTables = ["events", "inbox", "activities"];

    public static SqlStatement Namespace(DescribeNamespaceResponse info) =>
        new("INSERT OR REPLACE INTO namespaces VALUES ($p0, $p1)", [info.NamespaceInfo.Name, info.ToByteArray()]);

    public static SqlStatement AttributeType(string ns, string name, IndexedValueType type) =>
        new("INSERT OR REPLACE INTO search_attributes VALUES ($p0, $p1, $p2)", [ns, name, (long)type]);

    public static SqlStatement Schedule(StoredSchedule schedule) => new(
        "INSERT OR REPLACE INTO schedules VALUES ($p0, $p1, $p2, $p3, $p4, $p5)",
        [
            schedule.Namespace, schedule.Id, schedule.RequestId, schedule.State, schedule.Memo.ToByteArray(),
            schedule.SearchAttributes.ToByteArray(),
        ]);

    public static SqlStatement DeleteSchedule(string ns, string id) =>
        new("DELETE FROM schedules WHERE namespace = $p0 AND id = $p1", [ns, id]);

    public static IEnumerable<SqlStatement> DeleteRun(RunRow run) =>
    [
        .. runTables.Select(table => new SqlStatement($"DELETE FROM {table} WHERE run = $p0", [run.Number])),
        new SqlStatement("DELETE FROM runs WHERE number = $p0", [run.Number]),
        VisibilityTable.Delete(run.Key.RunId),
    ];
}
