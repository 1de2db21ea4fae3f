using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ModelOps.Ggml;
using ModelOps.ModelFiles.ChatTemplates.ToolCalls;

namespace ModelOps.Worker.Inference;

/// <summary>Grammars (GBNF) that make a model call a tool, in the way in which it writes calls.</summary>
internal static partial class ToolCallGrammar
{
    private const string Thought = """([^<] | "<" [^/])* "</think>" [ \n]*""";

    /// <summary>Exactly one call of one of the tools, with arguments that its schema accepts.</summary>
    /// <param name="tools">Each as an item of OpenAI's <c>tools</c>.</param>
    /// <exception cref="ArgumentException">A tool's parameters are a schema that is not supported.</exception>
    public static string Of(ToolCallStyle style, IReadOnlyList<(string Name, JsonElement? Parameters)> tools)
    {
        if (style == ToolCallStyle.Functionary)
        {
            var calls = tools.Select((tool, i) => $"{Literal($"<function={tool.Name}>")} tool{i}-root {Literal("</function>")}");
            return $"root ::= {string.Join(" | ", calls)}\n{string.Join('\n', tools.Select((tool, i) => Prefixed(JsonSchemaGrammar.ToGbnf(Schema(tool.Parameters)), $"tool{i}-")))}";
        }
        var (before, after) = style switch
        {
            ToolCallStyle.Hermes => ("<tool_call>\n", "\n</tool_call>"),
            ToolCallStyle.Mistral => ("[TOOL_CALLS][", "]"),
            _ => ("", ""),
        };
        return $"root ::= {Literal(before)} call-root {Literal(after)}\n{Prefixed(JsonSchemaGrammar.ToGbnf(CallSchema(style, tools)), "call-")}";
    }

    /// <summary>The same, for an answer that begins within its thoughts.</summary>
    public static string BehindThoughts(string gbnf) => $"root ::= {Thought} answer-root\n{Prefixed(gbnf, "answer-")}";

    private static JsonElement CallSchema(ToolCallStyle style, IReadOnlyList<(string Name, JsonElement? Parameters)> tools)
    {
        var arguments = style == ToolCallStyle.Llama ? "parameters" : "arguments";
        var calls = new JsonArray();
        foreach (var (i, (name, parameters)) in tools.Index())
        {
            calls.Add((JsonNode)new JsonObject
            {
                ["type"] = "object",
                ["properties"] = new JsonObject
                {
                    ["name"] = new JsonObject { ["const"] = name },
                    [arguments] = Moved(JsonNode.Parse(Schema(parameters).GetRawText())!, $"#/anyOf/{i}/properties/{arguments}"),
                },
                ["required"] = new JsonArray("name", arguments),
                ["additionalProperties"] = false,
            });
        }
        return JsonElement.Parse(new JsonObject { ["anyOf"] = calls }.ToJsonString());
    }

    /// <summary>References within a schema lead to the same places when it stands elsewhere.</summary>
    private static JsonNode Moved(JsonNode schema, string place)
    {
        switch (schema)
        {
            case JsonObject properties:
                foreach (var (key, value) in properties.ToList())
                {
                    if (key == "$ref" && value is JsonValue reference && reference.TryGetValue<string>(out var target) && target.StartsWith('#'))
                        properties[key] = place + target[1..];
                    else if (value is not null)
                        Moved(value, place);
                }
                break;
            case JsonArray items:
                foreach (var item in items.OfType<JsonNode>()) Moved(item, place);
                break;
        }
        return schema;
    }

    private static JsonElement Schema(JsonElement? parameters) =>
        parameters is { ValueKind: JsonValueKind.Object } given && given.EnumerateObject().Any() ? given : JsonElement.Parse("""{"type": "object"}""");

    private static string Literal(string text) => $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";

    private static string Prefixed(string gbnf, string prefix) =>
        Lexeme().Replace(gbnf, match => char.IsAsciiLetter(match.Value[0]) ? prefix + match.Value : match.Value);

    // Literals, character classes, comments, and names of rules, which alone begin with a letter.
    [GeneratedRegex("""
        "(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\#[^\n]*|[A-Za-z][A-Za-z0-9-]*
        """, RegexOptions.IgnorePatternWhitespace, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Lexeme();
}
