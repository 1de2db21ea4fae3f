using System.Text.Json;
using System.Text.RegularExpressions;
using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

/// <summary>A chat's messages, tools and form, from OpenAI's shapes into the engine's.</summary>
internal static partial class ChatInput
{
    private static readonly string[] roles = ["system", "developer", "user", "assistant", "tool"];

    public static ChatTurn Turn(ChatMessage message, string param, Faults faults)
    {
        if (!roles.Contains(message.Role, StringComparer.Ordinal))
            faults.Add($"{param}.role", $"'{message.Role}' is not offered; use {string.Join(", ", roles[..^1])} or {roles[^1]}");
        if (message is { Role: "tool", ToolCallId: null }) faults.Add($"{param}.tool_call_id", "must name the call that this message answers");
        if (message is { Role: not "assistant", ToolCalls.Count: > 0 }) faults.Add($"{param}.tool_calls", "are an assistant's alone");
        var calls = faults.Present($"{param}.tool_calls", message.ToolCalls).Select((call, i) => Call(call, $"{param}.tool_calls[{i}]", faults)).ToList();
        // OpenAI's developer is what templates know as system.
        return new ChatTurn(message.Role == "developer" ? "system" : message.Role, Text(message.Content, $"{param}.content", mayBeAbsent: calls.Count > 0, faults))
        {
            Name = message.Name,
            ToolCalls = calls,
            ToolCallId = message.ToolCallId,
            Reasoning = message.ReasoningContent,
        };
    }

    /// <param name="content">A string, or a list of parts that have a text.</param>
    public static string? Text(JsonElement? content, string param, bool mayBeAbsent, Faults faults)
    {
        switch (content)
        {
            case null or { ValueKind: JsonValueKind.Null } when mayBeAbsent:
                return null;
            case { ValueKind: JsonValueKind.String } text:
                return text.GetString();
            case { ValueKind: JsonValueKind.Array } parts when parts.EnumerateArray().All(part => PartText(part) is not null):
                return string.Concat(parts.EnumerateArray().Select(PartText));
            default:
                faults.Add(param, "must be a string or a list of parts of type text; images, sound and files are not offered");
                return "";
        }
    }

    public static IReadOnlyList<JsonElement> Tools(IReadOnlyList<JsonElement>? tools, Faults faults)
    {
        for (var i = 0; i < tools?.Count; i++) CheckTool(tools[i], $"tools[{i}]", faults);
        return tools ?? [];
    }

    public static ToolChoice Choice(JsonElement? choice, IReadOnlyList<JsonElement> tools, Faults faults)
    {
        switch (choice)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                return new ToolChoice.Auto();
            case { ValueKind: JsonValueKind.String } word when word.GetString() is "auto" or "none" or "required":
                if (tools.Count == 0 && word.ValueEquals("required")) faults.Add("tool_choice", "is 'required', but there are no tools");
                return word.GetString() switch { "none" => new ToolChoice.None(), "required" => new ToolChoice.Required(), _ => new ToolChoice.Auto() };
            case { ValueKind: JsonValueKind.Object } named when FunctionName(named) is { } name:
                if (!tools.Any(tool => FunctionName(tool) == name)) faults.Add("tool_choice", $"names the function '{name}', which is not among the tools");
                return new ToolChoice.Function(name);
            default:
                faults.Add("tool_choice", "must be auto, none, required or a function: {\"type\":\"function\",\"function\":{\"name\":…}}");
                return new ToolChoice.Auto();
        }
    }

    /// <param name="format">OpenAI's response_format.</param>
    public static OutputConstraint? Format(JsonElement? format, Faults faults)
    {
        if (format is null or { ValueKind: JsonValueKind.Null }) return null;
        switch (StringOf(format.Value, "type"))
        {
            case "text":
                return null;
            case "json_object":
                return new OutputConstraint.JsonSchema(JsonElement.Parse("{}"));
            case "json_schema" when format.Value.TryGetProperty("json_schema", out var named) && named.ValueKind == JsonValueKind.Object
                && named.TryGetProperty("schema", out var schema) && schema.ValueKind == JsonValueKind.Object:
                return new OutputConstraint.JsonSchema(schema);
            case "json_schema":
                faults.Add("response_format.json_schema.schema", "must be a JSON schema");
                return null;
            default:
                faults.Add("response_format.type", "must be text, json_object or json_schema");
                return null;
        }
    }

    /// <summary>The name of a tool's function, or of a choice's; null where there is none.</summary>
    public static string? FunctionName(JsonElement tool) =>
        tool.ValueKind == JsonValueKind.Object && tool.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object
            ? StringOf(function, "name")
            : null;

    /// <summary>Arguments as templates need them: an object.</summary>
    public static string Arguments(string arguments, string param, Faults faults)
    {
        if (string.IsNullOrWhiteSpace(arguments)) return "{}";
        try
        {
            if (JsonElement.Parse(arguments).ValueKind == JsonValueKind.Object) return arguments;
        }
        catch (JsonException)
        {
            // It is no JSON.
        }
        faults.Add(param, "must be the text of a JSON object");
        return "{}";
    }

    private static ToolCall Call(ChatToolCall call, string param, Faults faults)
    {
        if (call.Type != "function") faults.Add($"{param}.type", $"must be function, not '{call.Type}'");
        return new(call.Id, call.Function.Name, Arguments(call.Function.Arguments, $"{param}.function.arguments", faults));
    }

    private static void CheckTool(JsonElement tool, string param, Faults faults)
    {
        if (tool.ValueKind != JsonValueKind.Object || StringOf(tool, "type") != "function") faults.Add($"{param}.type", "must be function; other tools are not offered");
        else if (FunctionName(tool) is not { } name || !FunctionNames().IsMatch(name))
            faults.Add($"{param}.function.name", "must be 1 to 64 letters, digits, '_' or '-'");
        else if (tool.GetProperty("function").TryGetProperty("parameters", out var parameters) && parameters.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null))
            faults.Add($"{param}.function.parameters", "must be a JSON schema");
    }

    private static string? PartText(JsonElement part) =>
        part.ValueKind != JsonValueKind.Object ? null : StringOf(part, "type") switch
        {
            "text" or "input_text" or "output_text" => StringOf(part, "text"),
            "refusal" => StringOf(part, "refusal"),
            _ => null,
        };

    private static string? StringOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    [GeneratedRegex("^[a-zA-Z0-9_-]{1,64}$", RegexOptions.NonBacktracking)]
    private static partial Regex FunctionNames();
}
