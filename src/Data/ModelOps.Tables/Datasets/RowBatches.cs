using System.Diagnostics.CodeAnalysis;
using Apache.Arrow;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>Rows as Arrow batches of their task's schema, and back.</summary>
internal static class RowBatches
{
    [SuppressMessage("Reliability", "CA2000", Justification = "the batch owns its columns")]
    public static RecordBatch Build(DatasetTask task, IReadOnlyList<DatasetExample> rows)
    {
        var columns = new List<IArrowArray> { Texts(rows, row => row.Id) };
        for (var part = 0; part < task.Parts.Count; part++)
        {
            var number = part;
            columns.Add(task.IsText ? Texts(rows, row => row.Content.Parts[number][0].Content) : Conversations(rows, number));
        }
        if (task.HasLabel) columns.Add(Labels(rows));
        if (!task.IsText) columns.Add(Texts(rows, row => row.Content.Tools));
        columns.Add(Lines(rows));
        return new(task.Schema, columns, rows.Count);
    }

    public static IEnumerable<DatasetExample> Read(RecordBatch batch)
    {
        var task = TaskOf(batch.Schema);
        for (var i = 0; i < batch.Length; i++)
        {
            var parts = task.Parts.Select(part => (IReadOnlyList<RowMessage>)Part(batch.Column(part), i)).ToList();
            var tools = task.IsText ? null : ((StringArray)batch.Column("tools")).GetString(i);
            var label = task.HasLabel ? ((BooleanArray)batch.Column("label")).GetValue(i) : null;
            var line = ((Int64Array)batch.Column("source_line")).GetValue(i)!.Value;
            yield return new(((StringArray)batch.Column("id")).GetString(i), line, task, new(parts, tools, label));
        }
    }

    /// <summary>Column names tell tasks apart.</summary>
    private static DatasetTask TaskOf(Schema schema) =>
        DatasetTask.All.FirstOrDefault(task => task.Schema.FieldsList.All(field => schema.GetFieldIndex(field.Name) >= 0))
        ?? throw new DeltaException($"a table with the columns {string.Join(", ", schema.FieldsList.Select(field => field.Name))} has no rows of a dataset");

    private static RowMessage[] Part(IArrowArray column, int row)
    {
        if (column is StringArray texts) return [new("text", texts.GetString(row))];
        var list = (ListArray)column;
        var fields = ((StructArray)list.Values).Fields;
        var (roles, contents) = ((StringArray)fields[0], (StringArray)fields[1]);
        var (calls, callIds, names) = ((StringArray)fields[2], (StringArray)fields[3], (StringArray)fields[4]);
        var (start, end) = (list.ValueOffsets[row], list.ValueOffsets[row + 1]);
        var messages = new RowMessage[end - start];
        for (var i = start; i < end; i++)
            messages[i - start] = new(roles.GetString(i), contents.GetString(i))
            {
                ToolCalls = calls.GetString(i),
                ToolCallId = callIds.GetString(i),
                Name = names.GetString(i),
            };
        return messages;
    }

    private static StringArray Texts<T>(IEnumerable<T> items, Func<T, string?> text)
    {
        var texts = new StringArray.Builder();
        foreach (var item in items) texts.Append(text(item));
        return texts.Build();
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the list owns its values")]
    private static ListArray Conversations(IReadOnlyList<DatasetExample> rows, int part)
    {
        var offsets = new ArrowBuffer.Builder<int>();
        var messages = rows.SelectMany(row => row.Content.Parts[part]).ToList();
        var count = 0;
        offsets.Append(0);
        foreach (var row in rows) offsets.Append(count += row.Content.Parts[part].Count);
        var values = new StructArray(
            DatasetTask.MessageType,
            messages.Count,
            [
                Texts(messages, message => message.Role), Texts(messages, message => message.Content), Texts(messages, message => message.ToolCalls),
                Texts(messages, message => message.ToolCallId), Texts(messages, message => message.Name),
            ],
            ArrowBuffer.Empty);
        return new(DatasetTask.MessagesType, rows.Count, offsets.Build(), values, ArrowBuffer.Empty);
    }

    private static BooleanArray Labels(IEnumerable<DatasetExample> rows)
    {
        var labels = new BooleanArray.Builder();
        foreach (var row in rows) labels.Append(row.Content.Label!.Value);
        return labels.Build();
    }

    private static Int64Array Lines(IEnumerable<DatasetExample> rows)
    {
        var lines = new Int64Array.Builder();
        foreach (var row in rows) lines.Append(row.SourceLine);
        return lines.Build();
    }
}
