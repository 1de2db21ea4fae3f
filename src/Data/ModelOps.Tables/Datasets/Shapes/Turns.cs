using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelOps.Tables.Datasets.Shapes;

/// <summary>Messages as files write them: OpenAI's role and content, and ShareGPT's from and value.</summary>
internal static class Turns
{
    private const string FunctionCall = "function_call";

    public static List<RowMessage> Read(RowFields fields, string key) => Read(fields, fields.Items(key), key);

    public static List<RowMessage> Read(RowFields fields, IEnumerable<JsonElement> turns, string key)
    {
        var messages = new List<RowMessage>();
        foreach (var (index, turn) in turns.Index())
            if (ReadOne(fields, turn, $"{key} {index + 1}") is { } message) messages.Add(message);
        return messages;
    }

    /// <returns>null: it says nothing, or is bad.</returns>
    public static RowMessage? ReadOne(RowFields fields, JsonElement turn, string where)
    {
        if (turn.ValueKind != JsonValueKind.Object)
        {
            fields.Fail("a message is no object", $"{where} is {RowFields.Describe(turn)}");
            return null;
        }
        var (from, value) = turn.TryGetProperty("role", out _) ? ("role", "content") : turn.TryGetProperty("from", out _) ? ("from", "value") : ("role", "content");
        var written = fields.Required(Property(turn, from), from, where);
        if (RoleOf(written) is not { } role)
        {
            fields.Fail($"a {from} is not known", $"{where}: '{RowFields.Short(written)}'");
            return null;
        }
        return written == FunctionCall ? Call(fields, turn, value, where) : Message(fields, turn, role, value, where);
    }

    /// <summary>The row's tools as a JSON array; null for none.</summary>
    public static string? Tools(RowFields fields)
    {
        if (!fields.Has("tools") || (fields.HasText("tools") && string.IsNullOrWhiteSpace(fields.Optional("tools")))) return null;
        var tools = fields.Items("tools").ToList();
        return tools.Count == 0 ? null : $"[{string.Join(',', tools.Select(tool => tool.GetRawText()))}]";
    }

    private static string? RoleOf(string written) => written switch
    {
        "system" or "developer" => RowMessage.System,
        "user" or "human" => RowMessage.User,
        "assistant" or "gpt" or "model" or FunctionCall => RowMessage.Assistant,
        "tool" or "function" or "observation" => RowMessage.Tool,
        _ => null,
    };

    private static RowMessage? Message(RowFields fields, JsonElement turn, string role, string value, string where)
    {
        var message = new RowMessage(role, Text(fields, turn, value, where) ?? "")
        {
            ToolCalls = role == RowMessage.Assistant ? Calls(fields, turn, where) : null,
            ToolCallId = role == RowMessage.Tool ? fields.Optional(Property(turn, "tool_call_id"), "tool_call_id", where) : null,
            Name = role == RowMessage.Tool ? fields.Optional(Property(turn, "name"), "name", where) : null,
        };
        if (!string.IsNullOrWhiteSpace(message.Content) || message.ToolCalls is not null) return message;
        if (role != RowMessage.System) fields.Fail("a message has no content", where); // an empty system prompt says nothing
        return null;
    }

    /// <summary>ShareGPT's function_call: its value is the call, or a list of calls.</summary>
    private static RowMessage? Call(RowFields fields, JsonElement turn, string value, string where)
    {
        var text = fields.Required(Property(turn, value), value, where);
        var parsed = RowFields.Parse(text);
        var calls = parsed switch
        {
            { ValueKind: JsonValueKind.Array } list => list.EnumerateArray().Select(Function).ToList(),
            { ValueKind: JsonValueKind.Object } one => [Function(one)],
            _ => [],
        };
        if (calls.Count > 0 && calls.TrueForAll(call => call is not null)) return new(RowMessage.Assistant, "") { ToolCalls = new JsonArray([.. calls]).ToJsonString(compact) };
        fields.Fail("a function_call is no JSON with a name and arguments", where);
        return null;
    }

    private static readonly JsonSerializerOptions compact = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <returns>The call in OpenAI's form; null: it has no name.</returns>
    private static JsonObject? Function(JsonElement call)
    {
        if (call.ValueKind != JsonValueKind.Object || Property(call, "name") is not { ValueKind: JsonValueKind.String } name) return null;
        var arguments = Property(call, "arguments") is { ValueKind: not JsonValueKind.Null } given ? JsonNode.Parse(given.GetRawText()) : new JsonObject();
        return new() { ["type"] = "function", ["function"] = new JsonObject { ["name"] = name.GetString(), ["arguments"] = arguments } };
    }

    private static string? Calls(RowFields fields, JsonElement message, string where)
    {
        if (Property(message, "tool_calls") is not { ValueKind: not JsonValueKind.Null } given) return null;
        var calls = fields.Items(given, "tool_calls", where).ToList();
        foreach (var call in calls)
        {
            if (Function(call) is null && (call.ValueKind != JsonValueKind.Object || Property(call, "function") is not { } function || Function(function) is null))
                fields.Fail("tool_calls has a call without a function", where);
        }
        return calls.Count == 0 ? null : $"[{string.Join(',', calls.Select(call => call.GetRawText()))}]";
    }

    private static string? Text(RowFields fields, JsonElement message, string key, string where)
    {
        var content = Property(message, key);
        if (content is not { ValueKind: JsonValueKind.Array } parts) return fields.Optional(content, key, where);
        var texts = new List<string>();
        foreach (var part in parts.EnumerateArray())
        {
            if (part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueEquals("text"))
                texts.Add(fields.Required(Property(part, "text"), "text", where));
            else fields.Fail("a message has a part that is no text", where);
        }
        return string.Concat(texts);
    }

    private static JsonElement? Property(JsonElement element, string key) => element.TryGetProperty(key, out var value) ? value : null;
}
