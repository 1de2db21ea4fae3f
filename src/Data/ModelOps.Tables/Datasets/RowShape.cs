using System.Text.Json;

namespace ModelOps.Tables.Datasets;

/// <summary>A way in which files write conversations.</summary>
/// <param name="Keys">That a row of this shape must have.</param>
internal sealed record RowShape(string Name, IReadOnlyList<string> Keys, Action<JsonElement, RowContent> Read)
{
    public static IReadOnlyList<RowShape> Known { get; } =
    [
        new("chat", ["messages"], ReadChat),
        new("sharegpt", ["conversations"], ReadShareGpt),
        new("alpaca", ["instruction", "output"], ReadAlpaca),
        new("prompt-completion", ["prompt", "completion"], (row, content) => ReadPair(row, content, "prompt", "completion")),
        new("question-answer", ["question", "answer"], (row, content) => ReadPair(row, content, "question", "answer")),
    ];

    public static string Catalog { get; } = string.Join(", ", Known.Select(shape => $"{shape.Name} ({string.Join(", ", shape.Keys)})"));

    /// <returns>null: none fits. Preference pairs are not taken for conversations.</returns>
    public static RowShape? Detect(JsonElement row) => row.TryGetProperty("chosen", out _) && row.TryGetProperty("rejected", out _)
        ? null
        : Known.FirstOrDefault(shape => shape.Keys.All(key => row.TryGetProperty(key, out _)));

    private static void ReadPair(JsonElement row, RowContent content, string prompt, string completion)
    {
        content.Add("user", content.Required(row, prompt));
        content.Add("assistant", content.Required(row, completion));
    }

    private static void ReadAlpaca(JsonElement row, RowContent content)
    {
        content.Add("system", content.Optional(row, "system"));
        ReadHistory(row, content);
        var instruction = content.Required(row, "instruction");
        var input = content.Optional(row, "input");
        content.Add("user", string.IsNullOrWhiteSpace(input) ? instruction : $"{instruction}\n{input}");
        content.Add("assistant", content.Required(row, "output"));
    }

    private static void ReadHistory(JsonElement row, RowContent content)
    {
        if (!row.TryGetProperty("history", out var history) || history.ValueKind == JsonValueKind.Null) return;
        foreach (var turn in content.Items(row, "history"))
        {
            if (turn.ValueKind == JsonValueKind.Array && turn.GetArrayLength() == 2
                && turn[0].ValueKind == JsonValueKind.String && turn[1].ValueKind == JsonValueKind.String)
            {
                content.Add("user", turn[0].GetString());
                content.Add("assistant", turn[1].GetString());
            }
            else content.Fail("history has a turn that is no pair of texts");
        }
    }

    /// <summary>OpenAI's chat format. Calls of tools become the assistant's text, one JSON a call.</summary>
    private static void ReadChat(JsonElement row, RowContent content)
    {
        ToolText.AddDefinitions(row, content);
        foreach (var (index, message) in content.Items(row, "messages").Index())
        {
            var where = $"message {index + 1}: ";
            if (message.ValueKind != JsonValueKind.Object)
            {
                content.Fail($"{where}is {RowContent.Describe(message)}, not an object");
                continue;
            }
            var role = content.Required(message, "role", where);
            var canonical = role switch
            {
                "system" or "developer" => "system",
                "user" or "assistant" or "tool" => role,
                "function" => "tool",
                _ => null,
            };
            var text = ToolText.WithCalls(message, content, ChatText(message, content, where));
            if (canonical is null) content.Fail($"{where}role '{Short(role)}' is not known");
            else if (canonical != "system" && string.IsNullOrWhiteSpace(text)) content.Fail($"{where}has no content");
            else content.Add(canonical, text);
        }
    }

    private static string? ChatText(JsonElement message, RowContent content, string where)
    {
        if (!message.TryGetProperty("content", out var parts) || parts.ValueKind != JsonValueKind.Array)
            return content.Optional(message, "content", where);
        var texts = new List<string>();
        foreach (var part in parts.EnumerateArray())
        {
            if (part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueEquals("text"))
                texts.Add(content.Required(part, "text", where));
            else content.Fail($"{where}has a part that is no text");
        }
        return string.Concat(texts);
    }

    private static void ReadShareGpt(JsonElement row, RowContent content)
    {
        content.Add("system", content.Optional(row, "system"));
        ToolText.AddDefinitions(row, content);
        foreach (var (index, turn) in content.Items(row, "conversations").Index())
        {
            var where = $"turn {index + 1}: ";
            if (turn.ValueKind != JsonValueKind.Object)
            {
                content.Fail($"{where}is {RowContent.Describe(turn)}, not an object");
                continue;
            }
            var from = content.Required(turn, "from", where);
            var role = from switch
            {
                "system" => "system",
                "human" or "user" => "user",
                "gpt" or "assistant" or "function_call" => "assistant",
                "observation" or "tool" => "tool",
                _ => null,
            };
            if (role is null) content.Fail($"{where}from '{Short(from)}' is not known");
            else content.Add(role, role == "system" ? content.Optional(turn, "value", where) : content.Required(turn, "value", where));
        }
    }

    private static string Short(string text) => text.Length <= 40 ? text : $"{text[..40]}…";
}
