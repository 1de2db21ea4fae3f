using System.Globalization;

namespace ModelOps.Temporal.Visibility;

/// <summary>How values of a field are written and compared.</summary>
internal enum FieldKind { Keyword, Text, KeywordList, Int, Double, Bool, Datetime, Duration, Status }

/// <summary>What a filter can name: a column of the visibility table, or a search attribute where <see cref="Column"/> is null.</summary>
/// <param name="Column">An SQL expression over the table.</param>
internal sealed record VisibilityField(string Name, FieldKind Kind, string? Column)
{
    private static readonly Dictionary<string, VisibilityField> columns = new VisibilityField[]
    {
        new("WorkflowId", FieldKind.Keyword, "workflow_id"),
        new("RunId", FieldKind.Keyword, "run_id"),
        new("WorkflowType", FieldKind.Keyword, "workflow_type"),
        new("TaskQueue", FieldKind.Keyword, "task_queue"),
        new("ExecutionStatus", FieldKind.Status, "status"),
        new("StartTime", FieldKind.Datetime, "start_time"),
        new("ExecutionTime", FieldKind.Datetime, "execution_time"),
        new("CloseTime", FieldKind.Datetime, "close_time"),
        new("ExecutionDuration", FieldKind.Duration, "(close_time - execution_time)"),
        new("HistoryLength", FieldKind.Int, "history_length"),
        new("HistorySizeBytes", FieldKind.Int, "history_size"),
        new("StateTransitionCount", FieldKind.Int, "state_transitions"),
        new("ParentWorkflowId", FieldKind.Keyword, "parent_workflow_id"),
        new("ParentRunId", FieldKind.Keyword, "parent_run_id"),
        new("RootWorkflowId", FieldKind.Keyword, "root_workflow_id"),
        new("RootRunId", FieldKind.Keyword, "root_run_id"),
    }.ToDictionary(field => field.Name);

    private static readonly Dictionary<string, IndexedValueType> predefined = new()
    {
        ["BatcherUser"] = IndexedValueType.Keyword,
        ["BinaryChecksums"] = IndexedValueType.KeywordList,
        ["BuildIds"] = IndexedValueType.KeywordList,
        ["TemporalChangeVersion"] = IndexedValueType.KeywordList,
        ["TemporalNamespaceDivision"] = IndexedValueType.Keyword,
        ["TemporalReportedProblems"] = IndexedValueType.KeywordList,
        ["TemporalScheduledById"] = IndexedValueType.Keyword,
        ["TemporalScheduledStartTime"] = IndexedValueType.Datetime,
        ["TemporalSchedulePaused"] = IndexedValueType.Bool,
    };

    /// <summary>Search attributes that every namespace has, with their types.</summary>
    public static IReadOnlyDictionary<string, IndexedValueType> Predefined => predefined;

    public static VisibilityField? Find(string name, IReadOnlyDictionary<string, IndexedValueType> attributes) =>
        columns.TryGetValue(name, out var column) ? column
        : predefined.TryGetValue(name, out var type) || attributes.TryGetValue(name, out type) ? new(name, KindOf(type), Column: null)
        : null;

    public static FieldKind KindOf(IndexedValueType type) => type switch
    {
        IndexedValueType.Text => FieldKind.Text,
        IndexedValueType.Keyword => FieldKind.Keyword,
        IndexedValueType.Int => FieldKind.Int,
        IndexedValueType.Double => FieldKind.Double,
        IndexedValueType.Bool => FieldKind.Bool,
        IndexedValueType.Datetime => FieldKind.Datetime,
        IndexedValueType.KeywordList => FieldKind.KeywordList,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "a search attribute has one of the seven types"),
    };

    /// <summary>The value that the database compares with: text, a whole number (times and durations in nanoseconds, status by number) or a double.</summary>
    /// <returns>Null where the text is no value of this kind; <see cref="Expected"/> says what is.</returns>
    public object? Value(string text, bool quoted) => Kind switch
    {
        FieldKind.Keyword or FieldKind.Text or FieldKind.KeywordList => quoted ? text : null,
        FieldKind.Int => Whole(text),
        FieldKind.Double => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real) ? real : null,
        FieldKind.Bool => bool.TryParse(text, out var truth) ? truth ? 1L : 0L : null,
        FieldKind.Datetime => quoted ? Nanoseconds.OfTime(text) : Whole(text),
        FieldKind.Duration => quoted ? Nanoseconds.OfDuration(text) : Whole(text),
        FieldKind.Status => Status(text, quoted),
        _ => null,
    };

    public string Expected => Kind switch
    {
        FieldKind.Int => "a whole number",
        FieldKind.Double => "a number",
        FieldKind.Bool => "true or false",
        FieldKind.Datetime => "a time such as '2026-01-31T12:00:00Z'",
        FieldKind.Duration => "a duration such as '1h30m', '01:30:00' or nanoseconds",
        FieldKind.Status => "a status such as 'Running' or 'Completed'",
        _ => "a text in quotes",
    };

    private static long? Whole(string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static long? Status(string text, bool quoted)
    {
        if (!System.Enum.TryParse<WorkflowExecutionStatus>(text, ignoreCase: quoted, out var status) || !System.Enum.IsDefined(status)) return null;
        return quoted == char.IsAsciiLetter(text[0]) && status != WorkflowExecutionStatus.Unspecified ? (long)status : null;
    }
}
