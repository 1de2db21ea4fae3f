using System.Text.Json;

namespace ModelOps.Tables.Datasets.Shapes;

internal static class PreferenceShapes
{
    /// <summary>
    /// A prompt with chosen and rejected, each a text, a message or a list of messages. Lists that begin alike begin with the prompt, which then
    /// needs no field of its own.
    /// </summary>
    public static RowContent ReadPair(RowFields fields)
    {
        var (chosen, rejected) = (Answer(fields, "chosen"), Answer(fields, "rejected"));
        var shared = chosen.Zip(rejected).TakeWhile(pair => pair.First == pair.Second && pair.First.Role != RowMessage.Assistant).Count();
        var prompt = shared > 0 ? chosen[..shared] : Prompt(fields);
        (chosen, rejected) = (chosen[shared..], rejected[shared..]);
        if (prompt.Count == 0) fields.Fail("has no prompt");
        ExpectAnswer(fields, chosen, "chosen");
        ExpectAnswer(fields, rejected, "rejected");
        if (chosen.SequenceEqual(rejected)) fields.Fail("chosen and rejected are the same");
        return new([prompt, chosen, rejected], Turns.Tools(fields));
    }

    /// <summary>A prompt and a completion, or a conversation whose last message is the completion, with a label.</summary>
    public static RowContent ReadLabelled(RowFields fields)
    {
        var label = fields.Flag(fields.Has("label") ? "label" : "kto_tag");
        var (prompt, completion) = (new List<RowMessage>(), new List<RowMessage>());
        if (fields.Has("completion"))
        {
            prompt = Prompt(fields);
            completion = Answer(fields, "completion");
        }
        else
        {
            prompt = [.. SftShapes.System(fields), .. Turns.Read(fields, fields.Has("messages") ? "messages" : "conversations")];
            var last = Math.Max(0, prompt.Count - 1);
            (prompt, completion) = (prompt[..last], prompt[last..]);
        }
        if (prompt.Count == 0) fields.Fail("has no prompt");
        ExpectAnswer(fields, completion, "completion");
        return new([prompt, completion], Turns.Tools(fields), label);
    }

    private static List<RowMessage> Prompt(RowFields fields)
    {
        var system = SftShapes.System(fields);
        foreach (var key in (ReadOnlySpan<string>)["prompt", "question"])
            if (fields.HasText(key)) return [.. system, new(RowMessage.User, fields.Required(key))];
        foreach (var key in (ReadOnlySpan<string>)["prompt", "messages", "conversations"])
            if (fields.Has(key)) return [.. system, .. Turns.Read(fields, key)];
        return fields.Has("instruction") ? [.. system, new(RowMessage.User, SftShapes.Instruction(fields))] : [];
    }

    private static List<RowMessage> Answer(RowFields fields, string key) => fields.Find(key) switch
    {
        { ValueKind: JsonValueKind.Array } list => Turns.Read(fields, list.EnumerateArray(), key),
        { ValueKind: JsonValueKind.Object } message => Turns.ReadOne(fields, message, key) is { } one ? [one] : [],
        _ => [new(RowMessage.Assistant, fields.Required(key))],
    };

    private static void ExpectAnswer(RowFields fields, List<RowMessage> answer, string key)
    {
        if (answer.Count == 0 || answer[^1].Role != RowMessage.Assistant) fields.Fail($"{key} does not end with what the assistant says");
    }
}
