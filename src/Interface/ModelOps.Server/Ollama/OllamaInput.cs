using System.Text.Json;
using ModelOps.Inference;
using ModelOps.Server.OpenAI;

namespace ModelOps.Server.Ollama;

/// <summary>Ollama's requests as generations; what a request leaves out is as Ollama documents it.</summary>
internal static class OllamaInput
{
    private const float DefaultTemperature = 0.8f;
    private const float DefaultTopP = 0.9f;
    private const int DefaultTopK = 40;
    private const float DefaultRepeatPenalty = 1.1f;

    public static GenerationRequest Read(OllamaChatRequest request, string model, Faults faults)
    {
        var turns = faults.Present("messages", request.Messages).Select((message, i) => Turn(message, $"messages[{i}]", faults)).ToList();
        NameCalls(turns);
        return Read(request, model, new GenerationInput.Chat(turns) { Tools = ChatInput.Tools(request.Tools, faults), TemplateVariables = Variables(request) }, faults);
    }

    public static GenerationRequest Read(OllamaGenerateRequest request, string model, Faults faults)
    {
        if (request.Suffix is { Length: > 0 }) faults.Add("suffix", "is not offered: no text is inserted before another");
        if (request.Template is { Length: > 0 }) faults.Add("template", "is not offered: the model's own is used, or none with raw");
        if (request.Context is { Count: > 0 }) faults.Add("context", "is not offered: nothing is kept between requests; use /api/chat");
        if (request.Images is { Count: > 0 }) faults.Add("images", "are not offered");
        var prompt = request.Prompt ?? "";
        if (request.Raw == true) return Read(request, model, new GenerationInput.Prompt(prompt), faults);
        ChatTurn[] turns = request.System is { Length: > 0 } system ? [new("system", system), new("user", prompt)] : [new("user", prompt)];
        return Read(request, model, new GenerationInput.Chat(turns) { TemplateVariables = Variables(request) }, faults);
    }

    private static GenerationRequest Read(OllamaGeneration request, string model, GenerationInput input, Faults faults)
    {
        var options = request.Options ?? new();
        faults.Check("options.temperature", options.Temperature, value => value is >= 0 and <= 2, "from 0 to 2");
        faults.Check("options.top_p", options.TopP, value => value is > 0 and <= 1, "above 0 and at most 1");
        faults.Check("options.min_p", options.MinP, value => value is >= 0 and <= 1, "from 0 to 1");
        faults.Check("options.repeat_penalty", options.RepeatPenalty, value => value is > 0 and <= 10, "above 0 and at most 10");
        faults.Check("options.presence_penalty", options.PresencePenalty, value => value is >= -2 and <= 2, "from -2 to 2");
        faults.Check("options.frequency_penalty", options.FrequencyPenalty, value => value is >= -2 and <= 2, "from -2 to 2");
        faults.Check("top_logprobs", request.TopLogprobs, value => value is >= 0 and <= 20, "from 0 to 20");
        return new GenerationRequest
        {
            Model = model,
            Input = input,
            MaxTokens = options.NumPredict > 0 ? options.NumPredict : null,
            Stop = [.. faults.Present("options.stop", options.Stop).Where(stop => stop.Length > 0)],
            Constraint = Format(request.Format, faults),
            TopLogprobs = request.Logprobs == true ? request.TopLogprobs ?? 0 : null,
            Sampling = new SamplingSettings
            {
                Temperature = options.Temperature ?? DefaultTemperature,
                TopP = options.TopP ?? DefaultTopP,
                TopK = Math.Max(0, options.TopK ?? DefaultTopK),
                MinP = options.MinP ?? 0,
                Seed = options.Seed is { } seed ? unchecked((uint)seed) : GenerationRules.AnySeed(),
                FrequencyPenalty = options.FrequencyPenalty ?? 0,
                PresencePenalty = options.PresencePenalty ?? 0,
                RepeatPenalty = options.RepeatPenalty ?? DefaultRepeatPenalty,
            },
        };
    }

    private static ChatTurn Turn(OllamaMessage message, string param, Faults faults)
    {
        if (message.Role is not ("system" or "user" or "assistant" or "tool")) faults.Add($"{param}.role", $"'{message.Role}' is not offered; use system, user, assistant or tool");
        if (message.Images is { Count: > 0 }) faults.Add($"{param}.images", "are not offered");
        var calls = faults.Present($"{param}.tool_calls", message.ToolCalls).Select((call, i) => Call(call, $"{param}.tool_calls[{i}]", faults)).ToList();
        return new ChatTurn(message.Role, message.Content is { Length: 0 } && calls.Count > 0 ? null : message.Content ?? "")
        {
            Name = message.ToolName,
            Reasoning = message.Thinking,
            ToolCalls = calls,
            ToolCallId = message.ToolCallId,
        };
    }

    private static ToolCall Call(OllamaToolCall call, string param, Faults faults)
    {
        if (call.Function.Arguments.ValueKind != JsonValueKind.Object) faults.Add($"{param}.function.arguments", "must be a JSON object");
        return new(call.Id ?? "", call.Function.Name, call.Function.Arguments.ValueKind == JsonValueKind.Object ? call.Function.Arguments.GetRawText() : "{}");
    }

    /// <summary>Ollama's calls need no names and their answers follow in order: each call gets a name, and each answer that of the next call not answered.</summary>
    private static void NameCalls(List<ChatTurn> turns)
    {
        var unanswered = new Queue<string>();
        var number = 0;
        for (var i = 0; i < turns.Count; i++)
        {
            var turn = turns[i];
            turn = turn with { ToolCalls = [.. turn.ToolCalls.Select(call => call.Id.Length > 0 ? call : call with { Id = $"call_{number++}" })] };
            foreach (var call in turn.ToolCalls) unanswered.Enqueue(call.Id);
            if (turn is { Role: "tool", ToolCallId: null } && unanswered.TryDequeue(out var id)) turn = turn with { ToolCallId = id };
            turns[i] = turn;
        }
    }

    private static OutputConstraint.JsonSchema? Format(JsonElement? format, Faults faults)
    {
        switch (format)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                return null;
            case { ValueKind: JsonValueKind.Object } schema:
                return new OutputConstraint.JsonSchema(schema);
            case { ValueKind: JsonValueKind.String } word when word.ValueEquals("json"):
                return new OutputConstraint.JsonSchema(JsonElement.Parse("{}"));
            case { ValueKind: JsonValueKind.String } word when word.ValueEquals(""):
                return null;
            default:
                faults.Add("format", "must be json, or a JSON schema");
                return null;
        }
    }

    private static Dictionary<string, JsonElement>? Variables(OllamaGeneration request) => request.Think switch
    {
        { ValueKind: JsonValueKind.True or JsonValueKind.False } think => new(StringComparer.Ordinal) { ["enable_thinking"] = think },
        { ValueKind: JsonValueKind.String } effort => new(StringComparer.Ordinal) { ["reasoning_effort"] = effort },
        _ => null,
    };
}
