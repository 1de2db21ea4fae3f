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

    private static object? ToolCall(JsonElement call)
    {
        var result = Value(call);
        if (result is Mapping mapping && mapping.TryGetValue("function", out var value) && value is Mapping function
            && call.GetProperty("function").TryGetProperty("arguments", out var arguments) && ArgumentsOf(arguments) is { } known)
            function["arguments"] = known;
        return result;
    }

    /// <summary>OpenAI writes arguments as a string of JSON. Most templates are written for the object in it, some for the string.</summary>
    /// <returns>Null: they hold no object, and the template gets what they are.</returns>
    private static Mapping? ArgumentsOf(JsonElement arguments)
    {
        if (arguments.ValueKind == JsonValueKind.Object)
            return MappingOf(arguments, arguments.GetRawText());
        if (arguments.ValueKind != JsonValueKind.String)
            return null;
        var text = arguments.GetString()!;
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object ? MappingOf(document.RootElement, text) : null;
        }
        catch (JsonException)
        {
            return null; // what the model wrote as arguments need not be JSON
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

    /// <param name="json">Where its text may be wanted.</param>
    private static Mapping MappingOf(JsonElement element, string? json = null)
    {
        var result = new Mapping { Json = json };
        foreach (var property in element.EnumerateObject())
            result[property.Name] = Value(property.Value);
        return result;
    }

    /// <summary>As Python reads JSON: a fraction or an exponent makes it a float.</summary>
    private static object Number(JsonElement element) =>
        element.GetRawText().AsSpan().IndexOfAny(".eE") < 0 && element.TryGetInt64(out var whole)
            ? (object)whole : element.GetDouble();
}
