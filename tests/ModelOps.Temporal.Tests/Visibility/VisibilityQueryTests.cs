using ModelOps.Temporal.Visibility;
using Temporalio.Api.Enums.V1;

namespace ModelOps.Temporal.Tests.Visibility;

public sealed class VisibilityQueryTests : IDisposable
{
    private readonly TestTable table = new();

    public VisibilityQueryTests()
    {
        var closed = TestTable.Info("b", ("Customer", IndexedValueType.Keyword, "\"o'neil\""), ("Tags", IndexedValueType.KeywordList, """["red","blue"]"""),
            ("Count", IndexedValueType.Int, "5"), ("Score", IndexedValueType.Double, "1.5"), ("Urgent", IndexedValueType.Bool, "true"),
            ("Due", IndexedValueType.Datetime, "\"2026-03-01T12:00:00+02:00\""), ("Notes", IndexedValueType.Text, "\"Fine-tune the Llama model\""));
        closed.Status = WorkflowExecutionStatus.Completed;
        closed.StartTime = TestTable.Time("2026-01-02T00:00:00Z");
        closed.ExecutionTime = TestTable.Time("2026-01-02T00:00:10Z");
        closed.CloseTime = TestTable.Time("2026-01-02T01:30:10Z");
        closed.ParentExecution = new() { WorkflowId = "parent", RunId = "p1" };
        table.Put(TestTable.Info("a", ("odd name", IndexedValueType.Keyword, "\"x\"")));
        table.Put(closed);
        var failed = closed.Clone();
        failed.Execution = new() { WorkflowId = "other", RunId = "c" };
        failed.Status = WorkflowExecutionStatus.Failed;
        failed.CloseTime = TestTable.Time("2026-01-02T00:00:20Z");
        failed.SearchAttributes.IndexedFields.Clear();
        table.Put(failed);
    }

    public void Dispose() => table.Dispose();

    [Theory]
    [InlineData("", "a b c")]
    [InlineData("   ", "a b c")]
    [InlineData("WorkflowId = 'workflow-a'", "a")]
    [InlineData("workflowid = 'x' OR WorkflowId != \"workflow-a\"", null)]
    [InlineData("WorkflowId != \"workflow-a\"", "b c")]
    [InlineData("`WorkflowId` <> 'workflow-a'", "b c")]
    [InlineData("WorkflowId STARTS_WITH 'work'", "a b")]
    [InlineData("WorkflowId starts_with 'ork'", "")]
    [InlineData("WorkflowId NOT STARTS_WITH 'work'", "c")]
    [InlineData("WorkflowId IN ('other', 'workflow-b', 'none')", "b c")]
    [InlineData("WorkflowId not in ('other')", "a b")]
    [InlineData("RunId BETWEEN 'a' AND 'b'", "a b")]
    [InlineData("RunId NOT BETWEEN 'a' AND 'b'", "c")]
    [InlineData("WorkflowType = 'Train' AND TaskQueue = 'training'", "a b c")]
    [InlineData("ExecutionStatus = 'Running'", "a")]
    [InlineData("ExecutionStatus = 'completed'", "b")]
    [InlineData("ExecutionStatus = 2", "b")]
    [InlineData("ExecutionStatus IN ('Completed', 'Failed')", "b c")]
    [InlineData("ExecutionStatus != 'Running'", "b c")]
    [InlineData("StartTime > '2026-01-01T12:00:00Z'", "b c")]
    [InlineData("StartTime <= '2026-01-01T00:00:00.000000000Z'", "a")]
    [InlineData("StartTime = '2026-01-02T01:00:00+01:00'", "b c")]
    [InlineData("StartTime >= 1767312000000000000", "b c")]
    [InlineData("CloseTime IS NULL", "a")]
    [InlineData("CloseTime is not null", "b c")]
    [InlineData("CloseTime > '2020-01-01T00:00:00Z'", "b c")]
    [InlineData("NOT CloseTime > '2020-01-01T00:00:00Z'", "")]
    [InlineData("ExecutionTime = '2026-01-02T00:00:10Z'", "b c")]
    [InlineData("ExecutionDuration > '1h'", "b")]
    [InlineData("ExecutionDuration = '01:30:00'", "b")]
    [InlineData("ExecutionDuration < 60000000000", "c")]
    [InlineData("ExecutionDuration BETWEEN '5s' AND '1m30s'", "c")]
    [InlineData("HistoryLength = 7", "b c")]
    [InlineData("ParentWorkflowId = 'parent'", "b c")]
    [InlineData("ParentWorkflowId IS NULL", "a")]
    [InlineData("Customer = 'o''neil'", "b")]
    [InlineData("Customer = 'o\\'neil'", "b")]
    [InlineData("Customer = \"o'neil\"", "b")]
    [InlineData("Customer != 'x'", "b")]
    [InlineData("Customer IS NULL", "a c")]
    [InlineData("`odd name` = 'x'", "a")]
    [InlineData("Count >= 5 AND Count <= 5", "b")]
    [InlineData("Count IN (4, 5)", "b")]
    [InlineData("Score > 1 AND Score < 1.6", "b")]
    [InlineData("Score = 15e-1", "b")]
    [InlineData("Urgent = true", "b")]
    [InlineData("Urgent != TRUE", "")]
    [InlineData("Due = '2026-03-01T10:00:00Z'", "b")]
    [InlineData("Tags = 'red'", "b")]
    [InlineData("Tags = 'red' AND Tags = 'blue'", "b")]
    [InlineData("Tags != 'green'", "b")]
    [InlineData("Tags IN ('green', 'blue')", "b")]
    [InlineData("Tags NOT IN ('green')", "b")]
    [InlineData("Tags IS NULL", "a c")]
    [InlineData("Notes = 'llama'", "b")]
    [InlineData("Notes = 'no such MODEL'", "b")]
    [InlineData("Notes = 'nothing'", "")]
    [InlineData("RunId = 'a' OR RunId = 'b' AND ExecutionStatus = 'Running'", "a")]
    [InlineData("(RunId = 'a' OR RunId = 'b') AND NOT ExecutionStatus = 'Running'", "b")]
    [InlineData("NOT (RunId = 'a' OR RunId = 'b')", "c")]
    [InlineData("TemporalScheduledById IS NULL", "a b c")]
    public void List_Query_GivesTheRunsThatMatch(string query, string? runs)
    {
        if (runs is null) Assert.Throws<VisibilityException>(() => table.List(query));
        else Assert.Equal(runs, string.Join(' ', table.List(query).Order()));
    }

    [Theory]
    [InlineData("WorkflowId", "position 11: expected =, !=, >, >=, <, <=, IN, BETWEEN, STARTS_WITH or IS after WorkflowId, found the end")]
    [InlineData("WorkflowId = ", "position 14: expected a text in quotes for WorkflowId, found the end")]
    [InlineData("WorkflowId = abc", "position 14: expected a text in quotes for WorkflowId, found abc")]
    [InlineData("Nobody = 'x'", "position 1: there is no field or search attribute Nobody")]
    [InlineData("'WorkflowId' = 'x'", "position 1: expected a field or search attribute, found 'WorkflowId'")]
    [InlineData("WorkflowId = 'x", "position 14: the text that begins with ' has no end")]
    [InlineData("WorkflowId = 'x' 'y'", "position 18: expected AND, OR, GROUP BY, ORDER BY or the end, found 'y'")]
    [InlineData("(WorkflowId = 'x'", "position 18: expected ), found the end")]
    [InlineData("WorkflowId ; 'x'", "position 12: ';' means nothing here; texts stand in quotes")]
    [InlineData("StartTime > 'yesterday'", "position 13: expected a time such as '2026-01-31T12:00:00Z' for StartTime, found 'yesterday'")]
    [InlineData("ExecutionStatus = 'Done'", "position 19: expected a status such as 'Running' or 'Completed' for ExecutionStatus, found 'Done'")]
    [InlineData("ExecutionStatus > 'Running'", "position 17: > is not for ExecutionStatus, which is of type Status")]
    [InlineData("Notes > 'a'", "position 7: > is not for Notes, which is of type Text")]
    [InlineData("Tags STARTS_WITH 'a'", "position 6: STARTS_WITH is not for Tags, which is of type KeywordList")]
    [InlineData("Count = 1.5", "position 9: expected a whole number for Count, found 1.5")]
    [InlineData("Count BETWEEN 1 5", "position 17: expected AND, found 5")]
    [InlineData("Count IN ()", "position 11: expected a whole number for Count, found )")]
    [InlineData("Customer NOT = 'x'", "position 14: expected IN, BETWEEN or STARTS_WITH, found =")]
    [InlineData("CloseTime = NULL", "position 13: expected a time such as '2026-01-31T12:00:00Z' for CloseTime, found NULL")]
    [InlineData("ORDER BY Tags", "position 10: Tags, which is of type KeywordList, has no order")]
    [InlineData("GROUP BY WorkflowType", "position 10: expected ExecutionStatus, the only field to group by, found WorkflowType")]
    public void Parse_WrongQuery_NamesThePositionAndWhatWasExpected(string query, string message) =>
        Assert.Equal($"invalid query: {message}", Assert.Throws<VisibilityException>(() => VisibilityQuery.Parse(query, TestTable.Types)).Message);

    [Fact]
    public void Parse_NestedWithoutEnd_IsRefusedAndDoesNotOverflow()
    {
        Assert.Throws<VisibilityException>(() => VisibilityQuery.Parse(new string('(', 1_000_000), TestTable.Types));
        Assert.Throws<VisibilityException>(() => VisibilityQuery.Parse(string.Concat(Enumerable.Repeat("NOT ", 1_000_000)), TestTable.Types));
    }

    [Fact]
    public void List_AsManyConditionsAsAreAllowed_Runs()
    {
        string Chain(int conditions) => string.Join(" AND ", Enumerable.Repeat("NOT (Tags = 'x' OR RunId = 'z')", conditions / 2));
        Assert.Equal(["b"], table.List(Chain(500)));
        Assert.Throws<VisibilityException>(() => table.List(Chain(502)));
    }

    [Fact]
    public void List_WithoutOrder_HasRunningFirstThenTheLatestClosed() => Assert.Equal(["a", "b", "c"], table.List(""));

    [Theory]
    [InlineData("", "a b c")]
    [InlineData("ORDER BY StartTime DESC, WorkflowId", "c b a")]
    [InlineData("ORDER BY StartTime", "a c b")]
    [InlineData("ORDER BY CloseTime ASC", "a c b")]
    [InlineData("ORDER BY CloseTime DESC", "b c a")]
    [InlineData("RunId != 'a' ORDER BY Count, RunId", "c b")]
    [InlineData("ORDER BY Score DESC, Customer, RunId", "b a c")]
    public void List_InAnyOrder_PagesThroughAll(string query, string runs)
    {
        Assert.Equal(runs, string.Join(' ', table.List(query)));
        Assert.Equal(runs, string.Join(' ', table.List(query, size: 1)));
    }

    [Fact]
    public void List_RowsComeAndGoBetweenPages_NeitherSkipsNorRepeatsTheOthers()
    {
        foreach (var i in Enumerable.Range(0, 20)) table.Put(TestTable.Info($"run-{i:00}"), "paged");
        var query = VisibilityQuery.Parse("", TestTable.Types);
        Assert.Throws<VisibilityException>(() => query.Page("paged", 5, "[1]"));
        Assert.Throws<VisibilityException>(() => query.Page("paged", 5, "no token"));
        var all = table.List("", 1000, "paged");
        Assert.Equal(20, all.Count);
        Assert.Equal(all, table.List("", 3, "paged"));
        table.Delete("run-19");
        Assert.Equal(19, table.List("", 3, "paged").Count);
    }

    [Fact]
    public void Count_ByStatus_CountsEach()
    {
        Assert.Equal(3, table.Count(""));
        Assert.Equal(2, table.Count("CloseTime IS NOT NULL"));
        Assert.Equal(
            new() { [WorkflowExecutionStatus.Completed] = 1, [WorkflowExecutionStatus.Failed] = 1 },
            table.CountByStatus("CloseTime IS NOT NULL GROUP BY ExecutionStatus"));
        Assert.Throws<VisibilityException>(() => table.List("GROUP BY ExecutionStatus"));
        Assert.Throws<VisibilityException>(() => table.Count("ORDER BY StartTime"));
    }

    [Fact]
    public void Put_Again_ReplacesTheRow()
    {
        var info = TestTable.Info("a", ("Customer", IndexedValueType.Keyword, "\"new\""));
        info.Status = WorkflowExecutionStatus.Terminated;
        info.CloseTime = TestTable.Time("2026-02-01T00:00:00Z");
        table.Put(info);
        Assert.Equal(["a"], table.List("Customer = 'new' AND ExecutionStatus = 'Terminated' AND CloseTime IS NOT NULL"));
        Assert.Equal(3, table.Count(""));
    }

    [Theory]
    [InlineData("Count", IndexedValueType.Int, "\"five\"", "search attribute Count has a value that is not of type Int")]
    [InlineData("Due", IndexedValueType.Datetime, "\"soon\"", "search attribute Due has a value that is not of type Datetime")]
    [InlineData("Customer", IndexedValueType.Int, "5", "search attribute Customer has a value that is not of type Keyword")]
    [InlineData("Unknown", IndexedValueType.Unspecified, "5", "search attribute Unknown is not defined, and its value names no type")]
    public void Put_WrongAttribute_NamesIt(string name, IndexedValueType type, string json, string message) =>
        Assert.StartsWith(message, Assert.Throws<VisibilityException>(() => table.Put(TestTable.Info("z", (name, type, json)))).Message, StringComparison.Ordinal);
}
