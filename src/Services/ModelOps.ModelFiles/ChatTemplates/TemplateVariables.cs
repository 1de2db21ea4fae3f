using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates.Jinja;

namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>Turns input into the variables of a template, under the names that transformers uses.</summary>
internal static class TemplateVariables
{
    public static Scope Of(ChatTemplateInput input)
    {
        var variables = new Scope(parent: null);
        variables.Set("messages", input.Messages.Select(object? (message) => Message(message)).ToList());
        variables.Set("tools", input.Tools?.Select(Value).ToList()); // defined even when there are none, as transformers has it
        variables.Set("documents", null);
        variables.Set("add_generation_prompt", input.AddGenerationPrompt);
        if (input.BosToken is not null)
            variables.Set("bos_token", input.BosToken);
        if (input.EosToken is not null)
            variables.Set("eos_token", input.EosToken);
        foreach (var (name, value) in input.ExtraVariables ?? new Dictionary<string, JsonElement>())
            variables.Set(name, Value(value));
        return variables;
    }

    private static Mapping Message(ChatMessage message)
    {
        var result = new Mapping { ["role"] = message.Role, ["content"] = message.Content };
        if (message.ToolCalls is { ValueKind: JsonValueKind.Array } calls)
            result["tool_calls"] = calls.EnumerateArray().Select(ToolCall).ToList();
        if (message.Name is not null)
            result["name"] = message.Name;
        if (message.ToolCallId is not null)
            result["tool_call_id"] = message.ToolCallId;
        foreach (var (name, value) in message.Extra ?? new Dictionary<string, JsonElement>())
            result[name] = Value(value);
        return result;
    }

    /// <summary>OpenAI writes arguments as a string of JSON; templates are written for the object in it.</summary>
    private static object? ToolCall(JsonElement call)
    {
        var result = Value(call);
        if (result is Mapping mapping && mapping.TryGetValue("function", out var value) && value is Mapping function
            && function.TryGetValue("arguments", out var arguments) && arguments is string text && ParsedObject(text) is { } parsed)
            function["arguments"] = parsed;
        return result;
    }

    private static Mapping? ParsedObject(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return Value(document.RootElement) as Mapping;
        }
        catch (JsonException)
        {
            return null; // what the model wrote as arguments need not be JSON: the template gets the text
        }
    }

    private static object? Value(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => MappingOf(element),
        JsonValueKind.Array => element.EnumerateArray().Select(Value).ToList(),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => Number(element),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private static Mapping MappingOf(JsonElement element)
    {
        var result = new Mapping();
        foreach (var property in element.EnumerateObject())
            result[property.Name] = Value(property.Value);
        return result;
    }

    /// <summary>As Python reads JSON: a fraction or an exponent makes it a float.</summary>
    private static object Number(JsonElement element) =>
        element.GetRawText().AsSpan().IndexOfAny(".eE") < 0 && element.TryGetInt64(out var whole)
            ? (object)whole : element.GetDouble();
}
