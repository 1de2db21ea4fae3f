using System.Globalization;
using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>Requests in OpenAI's shape.</summary>
internal static class OpenAIRequests
{
    public static void Write(Utf8JsonWriter json, GenerationRequest request)
    {
        json.WriteStartObject();
        json.WriteString("model", request.Model);
        json.WriteBoolean("stream", true);
        json.WriteStartObject("stream_options");
        json.WriteBoolean("include_usage", true);
        json.WriteEndObject();
        if (request.MaxTokens is { } most) json.WriteNumber("max_tokens", most);
        if (request.Stop.Count > 0) WriteStrings(json, "stop", request.Stop);
        WriteSampling(json, request.Sampling);
        if (request.Priority != RequestPriority.Normal) json.WriteNumber("priority", request.Priority == RequestPriority.High ? -1 : 1);
        switch (request.Input)
        {
            case GenerationInput.Chat chat:
                WriteChat(json, chat);
                if (request.TopLogprobs is { } top)
                {
                    json.WriteBoolean("logprobs", true);
                    json.WriteNumber("top_logprobs", top);
                }
                break;
            case GenerationInput.Prompt prompt:
                json.WriteString("prompt", prompt.Text);
                if (request.TopLogprobs is { } alternatives) json.WriteNumber("logprobs", alternatives);
                break;
        }
        WriteConstraint(json, request.Constraint);
        json.WriteEndObject();
    }

    public static void WriteEmbeddings(Utf8JsonWriter json, string model, IReadOnlyList<EmbeddingInput> inputs)
    {
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteString("encoding_format", "float");
        json.WriteStartArray("input");
        foreach (var input in inputs)
            switch (input)
            {
                case EmbeddingInput.Text text:
                    json.WriteStringValue(text.Value);
                    break;
                case EmbeddingInput.Tokens tokens:
                    json.WriteStartArray();
                    foreach (var id in tokens.Ids) json.WriteNumberValue(id);
                    json.WriteEndArray();
                    break;
            }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void WriteRerank(Utf8JsonWriter json, string model, string query, IReadOnlyList<string> documents)
    {
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteString("query", query);
        WriteStrings(json, "documents", documents);
        json.WriteEndObject();
    }

    private static void WriteChat(Utf8JsonWriter json, GenerationInput.Chat chat)
    {
        json.WriteStartArray("messages");
        foreach (var turn in chat.Messages) WriteTurn(json, turn);
        json.WriteEndArray();
        if (chat.Tools.Count > 0)
        {
            json.WriteStartArray("tools");
            foreach (var tool in chat.Tools) tool.WriteTo(json);
            json.WriteEndArray();
            WriteToolChoice(json, chat.ToolChoice);
        }
        if (chat.TemplateVariables is { Count: > 0 } variables)
        {
            json.WriteStartObject("chat_template_kwargs");
            foreach (var (name, value) in variables)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }
            json.WriteEndObject();
        }
    }

    private static void WriteTurn(Utf8JsonWriter json, ChatTurn turn)
    {
        json.WriteStartObject();
        json.WriteString("role", turn.Role);
        json.WriteString("content", turn.Content);
        if (turn.Name is { } name) json.WriteString("name", name);
        if (turn.ToolCallId is { } answered) json.WriteString("tool_call_id", answered);
        if (turn.Reasoning is { } reasoning) json.WriteString("reasoning_content", reasoning);
        if (turn.ToolCalls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (var call in turn.ToolCalls)
            {
                json.WriteStartObject();
                json.WriteString("id", call.Id);
                json.WriteString("type", "function");
                json.WriteStartObject("function");
                json.WriteString("name", call.Name);
                json.WriteString("arguments", call.Arguments);
                json.WriteEndObject();
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void WriteToolChoice(Utf8JsonWriter json, ToolChoice choice)
    {
        if (choice is not ToolChoice.Function function)
        {
            json.WriteString("tool_choice", choice switch { ToolChoice.None => "none", ToolChoice.Required => "required", _ => "auto" });
            return;
        }
        json.WriteStartObject("tool_choice");
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", function.Name);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteSampling(Utf8JsonWriter json, SamplingSettings sampling)
    {
        json.WriteNumber("temperature", sampling.Temperature);
        json.WriteNumber("top_p", sampling.TopP);
        json.WriteNumber("seed", sampling.Seed);
        if (sampling.FrequencyPenalty != 0) json.WriteNumber("frequency_penalty", sampling.FrequencyPenalty);
        if (sampling.PresencePenalty != 0) json.WriteNumber("presence_penalty", sampling.PresencePenalty);
        if (sampling.TopK != 0) json.WriteNumber("top_k", sampling.TopK);
        if (sampling.MinP != 0) json.WriteNumber("min_p", sampling.MinP);
        if (sampling.RepeatPenalty is not (0 or 1)) json.WriteNumber("repetition_penalty", sampling.RepeatPenalty);
        if (sampling.LogitBias.Count == 0) return;
        json.WriteStartObject("logit_bias");
        foreach (var (token, bias) in sampling.LogitBias) json.WriteNumber(token.ToString(CultureInfo.InvariantCulture), bias);
        json.WriteEndObject();
    }

    private static void WriteConstraint(Utf8JsonWriter json, OutputConstraint? constraint)
    {
        switch (constraint)
        {
            case OutputConstraint.Grammar grammar:
                json.WriteString("grammar", grammar.Gbnf);
                break;
            case OutputConstraint.JsonSchema { Schema: var schema } when schema.ValueKind == JsonValueKind.Object && schema.EnumerateObject().Any():
                json.WriteStartObject("response_format");
                json.WriteString("type", "json_schema");
                json.WriteStartObject("json_schema");
                json.WriteString("name", "answer");
                json.WriteBoolean("strict", true);
                json.WritePropertyName("schema");
                schema.WriteTo(json);
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            case OutputConstraint.JsonSchema:
                json.WriteStartObject("response_format");
                json.WriteString("type", "json_object");
                json.WriteEndObject();
                break;
        }
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
