using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>Requests in Ollama's shape.</summary>
internal static class OllamaRequests
{
    public static void Write(Utf8JsonWriter json, GenerationRequest request)
    {
        json.WriteStartObject();
        json.WriteString("model", request.Model);
        json.WriteBoolean("stream", true);
        switch (request.Input)
        {
            case GenerationInput.Chat chat:
                WriteChat(json, chat);
                break;
            case GenerationInput.Prompt prompt:
                json.WriteString("prompt", prompt.Text);
                json.WriteBoolean("raw", true);
                break;
        }
        if (request.Constraint is OutputConstraint.JsonSchema { Schema: var schema })
        {
            json.WritePropertyName("format");
            if (schema.ValueKind == JsonValueKind.Object && schema.EnumerateObject().Any()) schema.WriteTo(json);
            else json.WriteStringValue("json");
        }
        if (request.TopLogprobs is { } top)
        {
            json.WriteBoolean("logprobs", true);
            json.WriteNumber("top_logprobs", top);
        }
        WriteOptions(json, request);
        json.WriteEndObject();
    }

    public static void WriteEmbed(Utf8JsonWriter json, string model, IReadOnlyList<string> texts)
    {
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteBoolean("truncate", false); // a text that is too long is an error, not a shorter text
        json.WriteStartArray("input");
        foreach (var text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteChat(Utf8JsonWriter json, GenerationInput.Chat chat)
    {
        json.WriteStartArray("messages");
        foreach (var turn in chat.Messages) WriteTurn(json, turn, chat.Messages);
        json.WriteEndArray();
        if (chat.TemplateVariables?.GetValueOrDefault("enable_thinking") is { ValueKind: JsonValueKind.True or JsonValueKind.False } think)
        {
            json.WritePropertyName("think");
            think.WriteTo(json);
        }
        if (chat.Tools.Count == 0 || chat.ToolChoice is ToolChoice.None) return;
        json.WriteStartArray("tools");
        foreach (var tool in chat.Tools) tool.WriteTo(json);
        json.WriteEndArray();
    }

    private static void WriteTurn(Utf8JsonWriter json, ChatTurn turn, IReadOnlyList<ChatTurn> turns)
    {
        json.WriteStartObject();
        json.WriteString("role", turn.Role);
        json.WriteString("content", turn.Content ?? "");
        if (turn.Reasoning is { } reasoning) json.WriteString("thinking", reasoning);
        // Ollama names the function that a tool's message answers, OpenAI the call.
        if (turn.ToolCallId is { } id)
        {
            json.WriteString("tool_call_id", id);
            if (turns.SelectMany(other => other.ToolCalls).FirstOrDefault(call => call.Id == id) is { } answered) json.WriteString("tool_name", answered.Name);
        }
        if (turn.ToolCalls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (var call in turn.ToolCalls)
            {
                json.WriteStartObject();
                json.WriteString("id", call.Id);
                json.WriteStartObject("function");
                json.WriteString("name", call.Name);
                json.WritePropertyName("arguments");
                json.WriteRawValue(call.Arguments);
                json.WriteEndObject();
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void WriteOptions(Utf8JsonWriter json, GenerationRequest request)
    {
        var sampling = request.Sampling;
        json.WriteStartObject("options");
        json.WriteNumber("temperature", sampling.Temperature);
        json.WriteNumber("top_p", sampling.TopP);
        json.WriteNumber("top_k", sampling.TopK);
        json.WriteNumber("min_p", sampling.MinP);
        json.WriteNumber("seed", sampling.Seed);
        json.WriteNumber("frequency_penalty", sampling.FrequencyPenalty);
        json.WriteNumber("presence_penalty", sampling.PresencePenalty);
        json.WriteNumber("repeat_penalty", sampling.RepeatPenalty == 0 ? 1 : sampling.RepeatPenalty);
        json.WriteNumber("num_predict", request.MaxTokens ?? -1);
        if (request.Stop.Count > 0)
        {
            json.WriteStartArray("stop");
            foreach (var stop in request.Stop) json.WriteStringValue(stop);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }
}
