using System.Text.Json;
using Grpc.Core;
using ModelOps.Inference.Wire;

namespace ModelOps.Inference;

/// <summary>The gateway's side of the wire: requests read, answers written. The other side is <see cref="WorkerBackend"/>.</summary>
public static class InferenceWire
{
    private const string FunctionPrefix = "function:";

    /// <exception cref="InferenceException">The request is wrong.</exception>
    public static GenerationRequest Read(GenerateRequest wire)
    {
        if (wire.Adapter.Length > 0) throw Invalid("adapter must be empty: an adapter has a name of its own, which is the request's");
        return new GenerationRequest
        {
            Model = wire.Name,
            Input = wire.InputCase switch
            {
                GenerateRequest.InputOneofCase.Chat => Read(wire.Chat),
                GenerateRequest.InputOneofCase.Prompt => new GenerationInput.Prompt(wire.Prompt),
                _ => throw Invalid("input is missing: give chat or prompt"),
            },
            MaxTokens = wire.MaxTokens == 0 ? null : (int)Math.Min(wire.MaxTokens, int.MaxValue),
            Stop = [.. wire.Stop],
            Sampling = Read(wire.Sampling ?? new Sampling()),
            Constraint = wire.ConstraintCase switch
            {
                GenerateRequest.ConstraintOneofCase.Grammar => new OutputConstraint.Grammar(wire.Grammar),
                GenerateRequest.ConstraintOneofCase.JsonSchema => new OutputConstraint.JsonSchema(Json(wire.JsonSchema, "json_schema")),
                _ => null,
            },
            TopLogprobs = wire.HasTopLogprobs ? (int)Math.Min(wire.TopLogprobs, int.MaxValue) : null,
            Priority = wire.Priority switch { Priority.High => RequestPriority.High, Priority.Low => RequestPriority.Low, _ => RequestPriority.Normal },
        };
    }

    /// <exception cref="InferenceException">There is none.</exception>
    public static IReadOnlyList<EmbeddingInput> Read(EmbedRequest wire) => wire.Inputs.Count == 0
        ? throw Invalid("inputs are missing")
        : [.. wire.Inputs.Select(input => input.Tokens.Count > 0 ? (EmbeddingInput)new EmbeddingInput.Tokens([.. input.Tokens]) : new EmbeddingInput.Text(input.Text))];

    public static GenerateReply Write(GenerationPiece piece)
    {
        var wire = new GenerateReply
        {
            Text = piece.Text,
            Reasoning = piece.Reasoning,
            FinishReason = piece.Finish switch
            {
                FinishReason.Stop => Wire.FinishReason.Stop,
                FinishReason.Length => Wire.FinishReason.Length,
                FinishReason.ToolCalls => Wire.FinishReason.ToolCalls,
                _ => Wire.FinishReason.Unspecified,
            },
        };
        wire.Logprobs.AddRange(piece.Logprobs.Select(Write));
        wire.ToolCalls.AddRange(piece.ToolCalls.Select(call =>
            new Wire.ToolCallDelta { Index = (uint)call.Index, Id = call.Id ?? "", Name = call.Name ?? "", Arguments = call.Arguments }));
        if (piece.Usage is { } usage)
            wire.Usage = new Usage
            {
                PromptTokens = (uint)usage.PromptTokens,
                CompletionTokens = (uint)usage.CompletionTokens,
                CachedPromptTokens = (uint)usage.CachedPromptTokens,
                QueueSeconds = piece.Times?.Queue.TotalSeconds ?? 0,
                PromptSeconds = piece.Times?.Prompt.TotalSeconds ?? 0,
                DecodeSeconds = piece.Times?.Decode.TotalSeconds ?? 0,
                LoadSeconds = piece.Times?.Load.TotalSeconds ?? 0,
            };
        return wire;
    }

    public static EmbedReply Write(Embeddings embeddings)
    {
        var wire = new EmbedReply { PromptTokens = (uint)embeddings.PromptTokens };
        foreach (var vector in embeddings.Vectors)
        {
            var values = new Vector();
            values.Values.AddRange(vector);
            wire.Vectors.Add(values);
        }
        return wire;
    }

    public static RerankReply Write(DocumentScores scores)
    {
        var wire = new RerankReply { PromptTokens = (uint)scores.PromptTokens };
        wire.Scores.AddRange(scores.Scores);
        return wire;
    }

    public static StatusCode StatusOf(InferenceError error) => error switch
    {
        InferenceError.ModelNotFound => StatusCode.NotFound,
        InferenceError.InvalidRequest => StatusCode.InvalidArgument,
        InferenceError.PromptTooLong => StatusCode.OutOfRange,
        InferenceError.NotSupported => StatusCode.Unimplemented,
        InferenceError.VerificationFailed => StatusCode.DataLoss,
        InferenceError.Busy => StatusCode.ResourceExhausted,
        _ => StatusCode.Unavailable,
    };

    private static GenerationInput.Chat Read(Conversation wire) => new([.. wire.Messages.Select(Read)])
    {
        Tools = [.. wire.Tools.Select((tool, i) => Json(tool, $"tools[{i}]"))],
        ToolChoice = wire.ToolChoice switch
        {
            "" or "auto" => new ToolChoice.Auto(),
            "none" => new ToolChoice.None(),
            "required" => new ToolChoice.Required(),
            var named when named.StartsWith(FunctionPrefix, StringComparison.Ordinal) => new ToolChoice.Function(named[FunctionPrefix.Length..]),
            var other => throw Invalid($"tool_choice must be auto, none, required or function:NAME, not '{other}'"),
        },
        TemplateVariables = wire.TemplateVariables.Length == 0 ? null
            : Json(wire.TemplateVariables, "template_variables").EnumerateObject().ToDictionary(variable => variable.Name, variable => variable.Value, StringComparer.Ordinal),
    };

    private static ChatTurn Read(Message wire) => new(wire.Role, wire.HasContent ? wire.Content : null)
    {
        Name = OrNull(wire.Name),
        ToolCallId = OrNull(wire.ToolCallId),
        Reasoning = OrNull(wire.Reasoning),
        ToolCalls = [.. wire.ToolCalls.Select(call => new ToolCall(call.Id, call.Name, call.Arguments))],
    };

    private static SamplingSettings Read(Sampling wire) => new()
    {
        Temperature = wire.Temperature,
        TopP = wire.TopP == 0 ? 1 : wire.TopP,
        TopK = wire.TopK,
        MinP = wire.MinP,
        Seed = wire.Seed,
        FrequencyPenalty = wire.FrequencyPenalty,
        PresencePenalty = wire.PresencePenalty,
        RepeatPenalty = wire.RepeatPenalty == 0 ? 1 : wire.RepeatPenalty,
        LogitBias = wire.LogitBias.ToDictionary(),
    };

    private static Wire.TokenLogprob Write(TokenLogprob logprob)
    {
        var wire = new Wire.TokenLogprob { Token = Google.Protobuf.ByteString.CopyFrom(logprob.Token.Span), Logprob = logprob.LogProbability };
        wire.Top.AddRange(logprob.Top.Select(Write));
        return wire;
    }

    private static JsonElement Json(string text, string where)
    {
        try
        {
            var json = JsonElement.Parse(text);
            return json.ValueKind == JsonValueKind.Object ? json : throw Invalid($"{where} must be a JSON object");
        }
        catch (JsonException e)
        {
            throw Invalid($"{where} must be a JSON object: {e.Message}");
        }
    }

    private static string? OrNull(string text) => text.Length > 0 ? text : null;

    private static InferenceException Invalid(string message) => new(InferenceError.InvalidRequest, message);
}
