using System.Text;
using System.Text.Json;
using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal.Visibility;

/// <summary>
/// The table that list and count read: one row per run, written in the transaction that changes the run. Times are nanoseconds since 1970. Search
/// attributes are one JSON object: times as nanoseconds, keyword lists as arrays, texts as the array of their words in lower case.
/// </summary>
public static class VisibilityTable
{
    /// <summary>The latest closed first, after those that run: the order of a list that names none, and of the index.</summary>
    internal const string ClosedOrder = "ifnull(close_time, 9223372036854775807)";

    public const string Create = $"""
        CREATE TABLE IF NOT EXISTS visibility (
            run_id TEXT NOT NULL PRIMARY KEY, namespace TEXT NOT NULL, workflow_id TEXT NOT NULL, workflow_type TEXT NOT NULL, task_queue TEXT NOT NULL,
            status INTEGER NOT NULL, start_time INTEGER NOT NULL, execution_time INTEGER NOT NULL, close_time INTEGER,
            history_length INTEGER, history_size INTEGER, state_transitions INTEGER,
            parent_workflow_id TEXT, parent_run_id TEXT, root_workflow_id TEXT, root_run_id TEXT, search_attributes TEXT, info BLOB NOT NULL);
        CREATE INDEX IF NOT EXISTS visibility_order ON visibility (namespace, {ClosedOrder} DESC, start_time DESC, run_id DESC);
        CREATE INDEX IF NOT EXISTS visibility_status ON visibility (namespace, status, start_time);
        CREATE INDEX IF NOT EXISTS visibility_workflow ON visibility (namespace, workflow_id);
        """;

    private const string Columns =
        "run_id, namespace, workflow_id, workflow_type, task_queue, status, start_time, execution_time, close_time, history_length, history_size, "
        + "state_transitions, parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, search_attributes, info";

    private static readonly string changes =
        string.Join(", ", Columns.Split(", ").Skip(5).Select(column => $"{column} = excluded.{column}"));

    /// <summary>Inserts or replaces the row of one run. The text is always the same, so that it can be prepared once.</summary>
    /// <param name="types">Of the namespace's own search attributes; a payload that names its type needs no entry.</param>
    /// <exception cref="VisibilityException">A search attribute has no type or not a value of it.</exception>
    public static SqlStatement Put(string @namespace, WorkflowExecutionInfo info, IReadOnlyDictionary<string, IndexedValueType> types)
    {
        var closed = info.CloseTime != null;
        object?[] values =
        [
            info.Execution.RunId, @namespace, info.Execution.WorkflowId, info.Type.Name, info.TaskQueue, (long)info.Status,
            Nanoseconds.Of(info.StartTime), Nanoseconds.Of(info.ExecutionTime ?? info.StartTime), closed ? Nanoseconds.Of(info.CloseTime!) : null,
            closed ? info.HistoryLength : null, closed ? info.HistorySizeBytes : null, closed ? info.StateTransitionCount : null,
            info.ParentExecution?.WorkflowId, info.ParentExecution?.RunId, info.RootExecution?.WorkflowId, info.RootExecution?.RunId,
            Attributes(info.SearchAttributes, types), info.ToByteArray(),
        ];
        var sql = new SqlBuilder().Add($"INSERT INTO visibility ({Columns}) VALUES (");
        for (var i = 0; i < values.Length; i++) sql.Add(i == 0 ? "" : ", ").Value(values[i]);
        return sql.Add($") ON CONFLICT (run_id) DO UPDATE SET {changes}").Build();
    }

    public static SqlStatement Delete(string runId) => new SqlBuilder().Add("DELETE FROM visibility WHERE run_id = ").Value(runId).Build();

    /// <summary>The search attributes as the table has them, or null without any.</summary>
    /// <exception cref="VisibilityException">A search attribute has no type or not a value of it.</exception>
    public static string? Attributes(SearchAttributes? attributes, IReadOnlyDictionary<string, IndexedValueType> types)
    {
        if (attributes is null || attributes.IndexedFields.Count == 0) return null;
        return VisibilitySql.Json(writer =>
        {
            writer.WriteStartObject();
            foreach (var (name, payload) in attributes.IndexedFields)
            {
                Path(name);
                WriteAttribute(writer, name, payload, TypeOf(name, payload, types));
            }
            writer.WriteEndObject();
        });
    }

    /// <summary>The type of a search attribute: that of the namespace, else the one that the payload names.</summary>
    /// <exception cref="VisibilityException">Neither says it.</exception>
    public static IndexedValueType TypeOf(string name, Payload payload, IReadOnlyDictionary<string, IndexedValueType> types)
    {
        if (VisibilityField.Predefined.TryGetValue(name, out var type) || types.TryGetValue(name, out type)) return type;
        if (payload.Metadata.TryGetValue("type", out var named) && System.Enum.TryParse(named.ToStringUtf8(), out type) && type != IndexedValueType.Unspecified) return type;
        throw new VisibilityException($"search attribute {name} is not defined, and its value names no type");
    }

    internal static string Path(string name) => name.AsSpan().ContainsAny('"', '\0')
        ? throw new VisibilityException($"search attribute {name}: its name has a character that is not allowed")
        : $"$.\"{name}\"";

    /// <summary>What a text attribute is searched by: its runs of letters and digits, in lower case.</summary>
    internal static IEnumerable<string> Words(string text)
    {
        var word = new StringBuilder();
        foreach (var c in text)
        {
            if (char.IsLetterOrDigit(c)) word.Append(char.ToLowerInvariant(c));
            else if (word.Length > 0)
            {
                yield return word.ToString();
                word.Clear();
            }
        }
        if (word.Length > 0) yield return word.ToString();
    }

    private static void WriteAttribute(Utf8JsonWriter writer, string name, Payload payload, IndexedValueType type)
    {
        try
        {
            using var document = JsonDocument.Parse(payload.Data.IsEmpty ? "null"u8.ToArray() : payload.Data.Memory);
            var value = document.RootElement;
            if (value.ValueKind == JsonValueKind.Null || (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0)) return; // how an attribute is unset
            writer.WritePropertyName(name);
            switch (type)
            {
                case IndexedValueType.Keyword: writer.WriteStringValue(Text(value)); break;
                case IndexedValueType.Text: WriteTexts(writer, Words(Text(value))); break;
                case IndexedValueType.Int: writer.WriteNumberValue(value.GetInt64()); break;
                case IndexedValueType.Double: writer.WriteNumberValue(value.GetDouble()); break;
                case IndexedValueType.Bool: writer.WriteBooleanValue(value.GetBoolean()); break;
                case IndexedValueType.Datetime: writer.WriteNumberValue(Nanoseconds.OfTime(Text(value)) ?? throw new FormatException("not a time")); break;
                case IndexedValueType.KeywordList:
                    WriteTexts(writer, value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(Text)] : [Text(value)]);
                    break;
                default: throw new FormatException("a type that is not known");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new VisibilityException($"search attribute {name} has a value that is not of type {type}: {e.Message}");
        }
    }

    private static string Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FormatException($"a JSON {value.ValueKind}, not a string");

    private static void WriteTexts(Utf8JsonWriter writer, IEnumerable<string> texts)
    {
        writer.WriteStartArray();
        foreach (var text in texts) writer.WriteStringValue(text);
        writer.WriteEndArray();
    }
}
