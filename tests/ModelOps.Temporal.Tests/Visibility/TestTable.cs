using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Data.Sqlite;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal.Tests.Visibility;

/// <summary>The visibility table in a database of its own in memory.</summary>
internal sealed class TestTable : IDisposable
{
    public static readonly IReadOnlyDictionary<string, IndexedValueType> Types = new Dictionary<string, IndexedValueType>
    {
        ["Customer"] = IndexedValueType.Keyword,
        ["Notes"] = IndexedValueType.Text,
        ["Count"] = IndexedValueType.Int,
        ["Score"] = IndexedValueType.Double,
        ["Urgent"] = IndexedValueType.Bool,
        ["Due"] = IndexedValueType.Datetime,
        ["Tags"] = IndexedValueType.KeywordList,
        ["odd name"] = IndexedValueType.Keyword,
    };

    private readonly SqliteConnection connection = new("Data Source=:memory:");

    public TestTable()
    {
        connection.Open();
        using var create = connection.CreateCommand();
        create.CommandText = VisibilityTable.Create;
        create.ExecuteNonQuery();
    }

    public void Dispose() => connection.Dispose();

    public void Put(WorkflowExecutionInfo info, string @namespace = "default") => Execute(VisibilityTable.Put(@namespace, info, Types));

    public void Delete(string runId) => Execute(VisibilityTable.Delete(runId));

    /// <summary>Run ids of all pages.</summary>
    public List<string> List(string query, int size = 1000, string @namespace = "default")
    {
        var parsed = VisibilityQuery.Parse(query, Types);
        var runs = new List<string>();
        string? token = null;
        do
        {
            var rows = Rows(parsed.Page(@namespace, size, token));
            runs.AddRange(rows.Select(row => WorkflowExecutionInfo.Parser.ParseFrom((byte[])row[0]!).Execution.RunId));
            token = rows.Count == size ? VisibilityQuery.PageToken(rows[^1].Skip(1)) : null;
        }
        while (token != null);
        return runs;
    }

    public long Count(string query) => (long)Assert.Single(Rows(VisibilityQuery.Parse(query, Types).Count("default")))[0]!;

    public Dictionary<WorkflowExecutionStatus, long> CountByStatus(string query) =>
        Rows(VisibilityQuery.Parse(query, Types).Count("default")).ToDictionary(row => (WorkflowExecutionStatus)(long)row[0]!, row => (long)row[1]!);

    public static Timestamp Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture).ToTimestamp();

    public static WorkflowExecutionInfo Info(string run, params (string Name, IndexedValueType Type, string Json)[] attributes)
    {
        var info = new WorkflowExecutionInfo
        {
            Execution = new() { WorkflowId = $"workflow-{run}", RunId = run },
            Type = new() { Name = "Train" },
            TaskQueue = "training",
            Status = WorkflowExecutionStatus.Running,
            StartTime = Time("2026-01-01T00:00:00Z"),
            ExecutionTime = Time("2026-01-01T00:00:00Z"),
            HistoryLength = 7,
            SearchAttributes = new(),
        };
        foreach (var (name, type, json) in attributes)
            info.SearchAttributes.IndexedFields[name] = new Payload { Data = ByteString.CopyFromUtf8(json), Metadata = { ["type"] = ByteString.CopyFromUtf8($"{type}") } };
        return info;
    }

    private void Execute(SqlStatement statement)
    {
        using var command = Command(statement);
        command.ExecuteNonQuery();
    }

    private List<object?[]> Rows(SqlStatement statement)
    {
        using var command = Command(statement);
        using var reader = command.ExecuteReader();
        var rows = new List<object?[]>();
        while (reader.Read())
            rows.Add([.. Enumerable.Range(0, reader.FieldCount).Select(column => reader.IsDBNull(column) ? null : reader.GetValue(column))]);
        return rows;
    }

    private SqliteCommand Command(SqlStatement statement)
    {
        var command = connection.CreateCommand();
        command.CommandText = statement.Text;
        for (var i = 0; i < statement.Parameters.Count; i++) command.Parameters.AddWithValue($"$p{i}", statement.Parameters[i] ?? DBNull.Value);
        return command;
    }
}
