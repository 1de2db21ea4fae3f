using System.Text.Json;

namespace ModelOps.Tables.Datasets.Shapes;

internal static class SftShapes
{
    /// <summary>OpenAI's chat format.</summary>
    public static RowContent ReadChat(RowFields fields) => Conversation(fields, Turns.Read(fields, "messages"), Turns.Tools(fields));

    public static RowContent ReadShareGpt(RowFields fields) =>
        Conversation(fields, [.. System(fields), .. Turns.Read(fields, "conversations")], Turns.Tools(fields));

    public static RowContent ReadAlpaca(RowFields fields) =>
        Conversation(fields, [.. System(fields), .. History(fields), new(RowMessage.User, Instruction(fields)), new(RowMessage.Assistant, fields.Required("output"))]);

    public static RowContent ReadPair(RowFields fields, string prompt, string completion) =>
        Conversation(fields, [.. System(fields), new(RowMessage.User, fields.Required(prompt)), new(RowMessage.Assistant, fields.Required(completion))]);

    public static IEnumerable<RowMessage> System(RowFields fields) =>
        fields.Optional("system") is { } text && !string.IsNullOrWhiteSpace(text) ? [new(RowMessage.System, text)] : [];

    public static string Instruction(RowFields fields)
    {
        var instruction = fields.Required("instruction");
        var input = fields.Optional("input");
        return string.IsNullOrWhiteSpace(input) ? instruction : $"{instruction}\n{input}";
    }

    private static RowContent Conversation(RowFields fields, IReadOnlyList<RowMessage> messages, string? tools = null)
    {
        if (!messages.Any(message => message.Role == RowMessage.Assistant)) fields.Fail("has nothing that the assistant says");
        return new([messages], tools);
    }

    private static IEnumerable<RowMessage> History(RowFields fields)
    {
        if (!fields.Has("history")) return [];
        var messages = new List<RowMessage>();
        foreach (var turn in fields.Items("history"))
        {
            if (turn.ValueKind == JsonValueKind.Array && turn.GetArrayLength() == 2
                && turn[0].ValueKind == JsonValueKind.String && turn[1].ValueKind == JsonValueKind.String)
                messages.AddRange([new(RowMessage.User, turn[0].GetString()!), new(RowMessage.Assistant, turn[1].GetString()!)]);
            else fields.Fail("history has a turn that is no pair of texts");
        }
        return messages.Where(message => !string.IsNullOrWhiteSpace(message.Content));
    }
}
