namespace ModelOps.Tables.Datasets;

/// <summary>One row of a dataset, whatever file it came from.</summary>
/// <param name="Id">SHA-256 of the content in lower-case hex: equal rows have equal ids, in any file.</param>
/// <param name="SourceLine">Line of the ingested file on which the row begins, from 1; of a Parquet file the number of the row.</param>
public sealed record DatasetExample(string Id, long SourceLine, DatasetTask Task, RowContent Content)
{
    /// <summary>The conversation of an sft row.</summary>
    public IReadOnlyList<RowMessage> Messages => Content.Parts[0];
}

/// <summary>What a row says.</summary>
/// <param name="Parts">
/// The conversations of the task's columns, in their order (<see cref="DatasetTask.Parts"/>). A row of text is one message of one part.
/// </param>
/// <param name="Tools">The tools that the assistant can call: a JSON array.</param>
/// <param name="Label">Of a kto row: whether its completion is a desired one.</param>
public sealed record RowContent(IReadOnlyList<IReadOnlyList<RowMessage>> Parts, string? Tools = null, bool? Label = null)
{
    public IEnumerable<RowMessage> Messages => Parts.SelectMany(part => part);

    /// <summary>The texts of the row, and the JSON texts of its tools and calls.</summary>
    internal IEnumerable<string> Texts
    {
        get
        {
            foreach (var part in Parts)
                foreach (var message in part)
                {
                    yield return message.Content;
                    if (message.ToolCalls is { } calls) yield return calls;
                }
            if (Tools is { } tools) yield return tools;
        }
    }

    internal RowContent Map(Func<RowMessage, RowMessage> change) =>
        this with { Parts = [.. Parts.Select(part => (IReadOnlyList<RowMessage>)[.. part.Select(change)])] };
}

/// <param name="Role">system, user, assistant or tool.</param>
/// <param name="Content">Empty where an assistant message only calls tools.</param>
public sealed record RowMessage(string Role, string Content)
{
    public const string System = "system";
    public const string User = "user";
    public const string Assistant = "assistant";
    public const string Tool = "tool";

    /// <summary>The calls of an assistant message in OpenAI's form: a JSON array.</summary>
    public string? ToolCalls { get; init; }

    /// <summary>Which call a tool message answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Of the tool that a tool message comes from.</summary>
    public string? Name { get; init; }
}
