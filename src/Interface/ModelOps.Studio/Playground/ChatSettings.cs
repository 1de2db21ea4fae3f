using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Studio.Playground;

/// <summary>What form an answer is to have.</summary>
public enum AnswerForm
{
    Text,
    Tools,
    Json,
}

/// <summary>All of a request but the talk.</summary>
public sealed class ChatSettings
{
    private const string ExampleTools = """
        [
          {
            "type": "function",
            "function": {
              "name": "weather",
              "description": "The weather in a place now",
              "parameters": {
                "type": "object",
                "properties": { "place": { "type": "string" } },
                "required": ["place"]
              }
            }
          }
        ]
        """;

    private const string ExampleSchema = """
        {
          "type": "object",
          "properties": {
            "word": { "type": "string" },
            "meaning": { "type": "string" }
          },
          "required": ["word", "meaning"],
          "additionalProperties": false
        }
        """;

    private const int Alternatives = 5;

    public string? System { get; set; }

    public double? Temperature { get; set; }

    public double? TopP { get; set; }

    public int? MaxTokens { get; set; }

    public int? Seed { get; set; }

    public AnswerForm Form { get; set; }

    /// <summary>A JSON list, as somebody typed it.</summary>
    public string Tools { get; set; } = ExampleTools;

    /// <summary>Null: as the model likes.</summary>
    public string? ToolChoice { get; set; }

    /// <summary>A JSON schema, as somebody typed it.</summary>
    public string Schema { get; set; } = ExampleSchema;

    /// <summary>Whether to ask how likely each token was.</summary>
    public bool Logprobs { get; set; }

    /// <summary>Null: they can be sent.</summary>
    public string? ToolsFault => Fault(Tools, JsonValueKind.Array, "a list: [{\"type\": \"function\", …}]");

    /// <inheritdoc cref="ToolsFault"/>
    public string? SchemaFault => Fault(Schema, JsonValueKind.Object, "a JSON schema: {\"type\": \"object\", …}");

    /// <summary>What is asked for cannot be sent.</summary>
    public bool IsFaulty => (Form == AnswerForm.Tools && ToolsFault is not null) || (Form == AnswerForm.Json && SchemaFault is not null);

    /// <param name="talk">What was said, and the question last.</param>
    public ChatRequest Request(string model, IEnumerable<ChatMessage> talk)
    {
        var tools = Form == AnswerForm.Tools && ToolsFault is null ? Json(Tools).EnumerateArray().ToList() : null;
        return new ChatRequest
        {
            Model = model,
            Messages = [.. string.IsNullOrWhiteSpace(System) ? [] : new[] { new ChatMessage("system", System) }, .. talk],
            Temperature = Temperature,
            TopP = TopP,
            MaxTokens = MaxTokens,
            Seed = Seed,
            Tools = tools,
            ToolChoice = tools is null ? null : ToolChoice,
            ResponseFormat = Form == AnswerForm.Json && SchemaFault is null
                ? Json($$"""{"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": {{Schema}} } }""") : null,
            Logprobs = Logprobs ? true : null,
            TopLogprobs = Logprobs ? Alternatives : null,
        };
    }

    private static JsonElement Json(string text) => JsonElement.Parse(text);

    private static string? Fault(string? text, JsonValueKind kind, string expected)
    {
        try
        {
            return Json(text ?? "").ValueKind == kind ? null : $"It must be {expected}";
        }
        catch (JsonException exception)
        {
            return $"No JSON from line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1} on";
        }
    }
}
