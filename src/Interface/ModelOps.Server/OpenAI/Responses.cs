using System.Net.ServerSentEvents;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Inference;
using ModelOps.Server.Generations;

namespace ModelOps.Server.OpenAI;

/// <summary>POST /v1/responses in its stateless part: a stream of events, or the response that the last of them has.</summary>
internal static class Responses
{
    private const string Kept = "is not offered: nothing of a response is kept here; send the whole conversation as input";

    public static async Task<IResult> CreateAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.ResponseRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        var generation = Read(request, faults);
        if (faults.Any) return Problems.Invalid(faults);
        var answers = await StartedAnswers.BeginAsync(router, [generation], cancellationToken);
        var events = new ResponseEvents(request, generation, answers, time.GetUtcNow(), context.RequestServices).AllAsync(cancellationToken);
        if (request.Stream == true) return TypedResults.ServerSentEvents(Told(events));
        var last = await events.LastAsync(cancellationToken);
        return last.Response!.Error is { } failure
            ? throw new InferenceException(InferenceError.Unavailable, failure.Message)
            : Results.Json(last.Response, OpenAIJson.Default.ResponseObject);
    }

    private static async IAsyncEnumerable<SseItem<string>> Told(IAsyncEnumerable<ResponseEvent> events)
    {
        await foreach (var next in events) yield return new(JsonSerializer.Serialize(next, OpenAIJson.Default.ResponseEvent), next.Type);
    }

    private static GenerationRequest Read(ResponseRequest request, Faults faults)
    {
        if (request.Store == true) faults.Add("store", "must be false or left out: nothing of a response is kept here");
        GenerationRules.RefuseOthers(request.Others, (name, value) => IsDefault(name, value, faults), faults);
        var tools = ChatInput.Tools([.. faults.Present("tools", request.Tools).Select(ToChatTool)], faults);
        var turns = ResponseInput.Turns(request.Input, faults);
        if (request.Instructions is { } instructions) turns.Insert(0, new ChatTurn("system", instructions));
        faults.Check("top_logprobs", request.TopLogprobs, value => value is >= 0 and <= 20, "from 0 to 20");
        var chat = new GenerationInput.Chat(turns)
        {
            Tools = tools,
            ToolChoice = ChatInput.Choice(ToChatChoice(request.ToolChoice), tools, faults),
            TemplateVariables = request.Reasoning?.Effort is { } effort
                ? new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["reasoning_effort"] = JsonSerializer.SerializeToElement(effort, OpenAIJson.Default.String) }
                : null,
        };
        // The parameters that both APIs have are read by the same rules.
        var common = new ChatCompletionRequest { Model = request.Model, Messages = [], Temperature = request.Temperature, TopP = request.TopP };
        var logprobs = request.Include?.Contains("message.output_text.logprobs", StringComparer.Ordinal) == true ? request.TopLogprobs ?? 0 : request.TopLogprobs;
        faults.Check("max_output_tokens", request.MaxOutputTokens, value => value >= 1, "at least 1");
        return GenerationRules.Read(common, chat, request.MaxOutputTokens, logprobs, ChatInput.Format(ToChatFormat(request.Text?.Format), faults), faults);
    }

    /// <summary>A tool as chat completions have it: what describes the function lies one level deeper.</summary>
    private static JsonElement ToChatTool(ResponseTool tool)
    {
        var function = new JsonObject { ["name"] = tool.Name };
        if (tool.Description is { } description) function["description"] = description;
        if (tool.Parameters is { ValueKind: not JsonValueKind.Null } parameters) function["parameters"] = JsonNode.Parse(parameters.GetRawText());
        if (tool.Strict is { } strict) function["strict"] = strict;
        return JsonSerializer.SerializeToElement(new JsonObject { ["type"] = tool.Type, ["function"] = function }, OpenAIJson.Default.JsonObject);
    }

    private static JsonElement? ToChatChoice(JsonElement? choice) =>
        choice is { ValueKind: JsonValueKind.Object } named && named.TryGetProperty("name", out var name)
            ? JsonSerializer.SerializeToElement(
                new JsonObject { ["type"] = "function", ["function"] = new JsonObject { ["name"] = JsonNode.Parse(name.GetRawText()) } }, OpenAIJson.Default.JsonObject)
            : choice;

    private static JsonElement? ToChatFormat(JsonElement? format) =>
        format is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty("schema", out var schema)
            ? JsonSerializer.SerializeToElement(
                new JsonObject { ["type"] = "json_schema", ["json_schema"] = new JsonObject { ["schema"] = JsonNode.Parse(schema.GetRawText()) } }, OpenAIJson.Default.JsonObject)
            : format;

    private static bool IsDefault(string name, JsonElement value, Faults faults)
    {
        switch (name)
        {
            case "background":
                return value.ValueKind == JsonValueKind.False;
            case "truncation":
                return value.ValueKind == JsonValueKind.String && value.ValueEquals("disabled");
            case "stream_options":
                return true;
            case "previous_response_id" or "conversation":
                faults.Add(name, Kept);
                return true;
            default:
                return false;
        }
    }
}

/// <summary>The input of a response as a conversation.</summary>
internal static class ResponseInput
{
    public static List<ChatTurn> Turns(JsonElement input, Faults faults)
    {
        if (input.ValueKind == JsonValueKind.String) return [new ChatTurn("user", input.GetString())];
        if (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0)
        {
            faults.Add("input", "must be a string or a list of items");
            return [];
        }
        var turns = new List<ChatTurn>();
        var reasoning = ""; // belongs to the assistant's turn that follows it
        var i = 0;
        foreach (var item in input.EnumerateArray())
        {
            var param = $"input[{i++}]";
            switch (TextOf(item, "type") ?? "message")
            {
                case "message":
                    var message = new ChatMessage(TextOf(item, "role") ?? "", item.ValueKind == JsonValueKind.Object && item.TryGetProperty("content", out var content) ? content : null);
                    Add(ChatInput.Turn(message, param, faults));
                    break;
                case "function_call":
                    Call(item, param);
                    break;
                case "function_call_output":
                    Add(new ChatTurn("tool", ChatInput.Text(item.TryGetProperty("output", out var output) ? output : null, $"{param}.output", mayBeAbsent: false, faults))
                    {
                        ToolCallId = Needed(item, "call_id", param, faults),
                    });
                    break;
                case "reasoning":
                    reasoning += Thought(item);
                    break;
                case var other:
                    faults.Add($"{param}.type", $"'{other}' is not offered; use message, function_call, function_call_output or reasoning");
                    break;
            }
        }
        return turns;

        void Add(ChatTurn turn)
        {
            if (turn.Role == "assistant" && reasoning.Length > 0) turn = turn with { Reasoning = reasoning };
            reasoning = "";
            turns.Add(turn);
        }

        // The calls of one turn are items of their own.
        void Call(JsonElement item, string param)
        {
            var arguments = ChatInput.Arguments(TextOf(item, "arguments") ?? "", $"{param}.arguments", faults);
            var call = new ToolCall(Needed(item, "call_id", param, faults), Needed(item, "name", param, faults), arguments);
            if (turns is [.., { Role: "assistant" } last] && reasoning.Length == 0) turns[^1] = last with { ToolCalls = [.. last.ToolCalls, call] };
            else Add(new ChatTurn("assistant", Content: null) { ToolCalls = [call] });
        }
    }

    private static string Thought(JsonElement item) =>
        item.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.Array
            ? string.Concat(content.EnumerateArray().Select(part => TextOf(part, "text")))
            : "";

    private static string Needed(JsonElement item, string name, string param, Faults faults)
    {
        if (TextOf(item, name) is { } text) return text;
        faults.Add($"{param}.{name}", "must be a string");
        return "";
    }

    private static string? TextOf(JsonElement item, string name) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
