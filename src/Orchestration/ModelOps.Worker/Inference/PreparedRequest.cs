using System.Text.Json;
using System.Text.Json.Nodes;
using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.Inference.Wire;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.ChatTemplates.ToolCalls;

namespace ModelOps.Worker.Inference;

/// <summary>A request in the engine's terms: rendered with the model's template, tokenized, with the grammar that it must follow.</summary>
/// <param name="Parser">Takes the answer apart; null: all of it is text.</param>
/// <param name="Style">How calls in the answer are written.</param>
internal sealed record PreparedRequest(int[] Tokens, string? Grammar, AnswerParser? Parser, ToolCallStyle? Style)
{
    /// <summary>Whether the mark of a call may be a control token.</summary>
    public bool ShowControl => Parser is not null && Style is ToolCallStyle.Llama or ToolCallStyle.Mistral;

    private const string FunctionPrefix = "function:";

    /// <exception cref="RpcException">The request is wrong, or the model cannot do what it asks for.</exception>
    public static PreparedRequest Of(GenerateRequest request, ModelLease lease)
    {
        var loaded = lease.Model;
        var grammar = Constraint(request);
        if (request.InputCase == GenerateRequest.InputOneofCase.Prompt)
            return new(loaded.Model.Tokenize(request.Prompt, addSpecial: true, parseSpecial: false), grammar, Parser: null, Style: null);
        if (loaded.Template is not { } template) throw Invalid($"the model '{lease.Title}' has no chat template; it continues plain prompts only");
        try
        {
            return OfChat(request, lease, template, grammar);
        }
        catch (ChatTemplateException e)
        {
            throw Invalid($"the model's chat template refuses the messages: {e.Message}");
        }
        catch (JsonException e)
        {
            throw Invalid($"tools, their calls or the template's variables are no JSON: {e.Message}");
        }
    }

    private static PreparedRequest OfChat(GenerateRequest request, ModelLease lease, ChatTemplate template, string? grammar)
    {
        var loaded = lease.Model;
        var chat = request.Chat;
        var tools = chat.ToolChoice == "none" ? [] : chat.Tools.Select(tool => JsonElement.Parse(tool)).ToList();
        var offered = tools.Select(Function).ToList();
        var input = new ChatTemplateInput
        {
            Messages = [.. chat.Messages.Select(ToMessage)],
            Tools = tools.Count > 0 ? tools : null,
            AddGenerationPrompt = true,
            BosToken = loaded.Model.BosToken?.Text,
            EosToken = loaded.Model.EosToken?.Text,
            ExtraVariables = chat.TemplateVariables.Length == 0
                ? null
                : JsonElement.Parse(chat.TemplateVariables).EnumerateObject().ToDictionary(variable => variable.Name, variable => variable.Value, StringComparer.Ordinal),
        };
        // A template that knows no tools gets them, and past calls, as text.
        var described = !loaded.Style.RendersTools && (tools.Count > 0 || chat.Messages.Any(message => message.Role == "tool" || message.ToolCalls.Count > 0));
        var style = loaded.Style.RendersTools ? loaded.Style.ToolCalls : ToolCallStyle.Hermes;
        var rendered = template.Render(described ? ToolPrompt.Apply(input) : input).Text;
        var withinThoughts = loaded.Style.MarksReasoning && rendered.AsSpan().TrimEnd().EndsWith(AnswerStyle.ThinkStart);
        grammar = ChoiceGrammar(request, lease.Title, style, offered) ?? grammar;
        if (offered.Count == 0) style = null;
        return new(
            loaded.Model.Tokenize(rendered, addSpecial: false, parseSpecial: true),
            grammar is not null && withinThoughts ? ToolCallGrammar.BehindThoughts(grammar) : grammar,
            new AnswerParser(style, offered.Select(tool => tool.Name).ToHashSet(StringComparer.Ordinal), loaded.Style.MarksReasoning, withinThoughts),
            style);
    }

    /// <returns>Null: the model may call or not.</returns>
    private static string? ChoiceGrammar(GenerateRequest request, string title, ToolCallStyle? style, List<(string Name, JsonElement? Parameters)> tools)
    {
        var choice = request.Chat.ToolChoice;
        var wanted = choice.StartsWith(FunctionPrefix, StringComparison.Ordinal) ? choice[FunctionPrefix.Length..] : null;
        if (wanted is null && choice != "required") return null;
        if (request.ConstraintCase != GenerateRequest.ConstraintOneofCase.None)
            throw Invalid("an answer that must call a tool cannot also be bound to a grammar or a JSON schema");
        var callable = wanted is null ? tools : tools.Where(tool => tool.Name == wanted).ToList();
        if (callable.Count == 0) throw Invalid(wanted is null ? "tool_choice is required, and there are no tools" : $"tool_choice names '{wanted}', which is none of the tools");
        if (style is not { } known)
            throw new RpcException(new Status(StatusCode.Unimplemented, $"the model '{title}' cannot be made to call a tool: how its chat template writes calls is not known"));
        try
        {
            return ToolCallGrammar.Of(known, callable);
        }
        catch (ArgumentException e)
        {
            throw Invalid($"the parameters of a tool cannot be enforced: {e.Message}");
        }
    }

    private static string? Constraint(GenerateRequest request)
    {
        switch (request.ConstraintCase)
        {
            case GenerateRequest.ConstraintOneofCase.Grammar:
                return request.Grammar;
            case GenerateRequest.ConstraintOneofCase.JsonSchema:
                try
                {
                    var schema = JsonElement.Parse(request.JsonSchema);
                    var anyObject = schema.ValueKind == JsonValueKind.Object && !schema.EnumerateObject().Any();
                    return JsonSchemaGrammar.ToGbnf(anyObject ? JsonElement.Parse("""{"type": "object"}""") : schema);
                }
                catch (Exception e) when (e is JsonException or ArgumentException)
                {
                    throw Invalid($"the JSON schema cannot be enforced: {e.Message}");
                }
            default:
                return null;
        }
    }

    private static (string Name, JsonElement? Parameters) Function(JsonElement tool) =>
        tool.ValueKind == JsonValueKind.Object && tool.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object
            && function.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String
            ? (name.GetString()!, function.TryGetProperty("parameters", out var parameters) ? parameters : null)
            : throw Invalid("a tool has no function with a name");

    private static ChatMessage ToMessage(Message message) => new(message.Role == "developer" ? "system" : message.Role, message.HasContent ? message.Content : null)
    {
        Name = message.Name.Length > 0 ? message.Name : null,
        ToolCallId = message.ToolCallId.Length > 0 ? message.ToolCallId : null,
        ToolCalls = message.ToolCalls.Count > 0 ? JsonElement.Parse(new JsonArray([.. message.ToolCalls.Select(ToJson)]).ToJsonString()) : null,
        Extra = message.Reasoning.Length > 0
            ? new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["reasoning_content"] = JsonElement.Parse(JsonValue.Create(message.Reasoning).ToJsonString()) }
            : null,
    };

    private static JsonObject ToJson(ToolCall call) => new()
    {
        ["id"] = call.Id,
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.Arguments },
    };

    private static RpcException Invalid(string message) => new(new Status(StatusCode.InvalidArgument, message));
}
