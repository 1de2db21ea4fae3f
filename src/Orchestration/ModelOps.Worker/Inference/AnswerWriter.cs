using System.Security.Cryptography;
using Google.Protobuf;
using ModelOps.Ggml;
using ModelOps.Inference.Wire;
using ModelOps.ModelFiles.ChatTemplates.ToolCalls;
using FinishReason = ModelOps.Inference.Wire.FinishReason;
using TokenLogprob = ModelOps.Inference.Wire.TokenLogprob;

namespace ModelOps.Worker.Inference;

/// <summary>Turns the engine's pieces into replies: one for each part of the answer, the last with its end and what it took.</summary>
internal sealed class AnswerWriter(PreparedRequest request, TimeSpan coldStart)
{
    private const string IdCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    private const int MistralIdLength = 9; // its templates refuse any other
    private const int IdLength = 24;
    private readonly List<TokenLogprob> logprobs = []; // of tokens whose text is held back

    public IReadOnlyList<GenerateReply> Replies(GeneratedPiece piece)
    {
        logprobs.AddRange(piece.Logprobs.Select(ToWire));
        var replies = Parts(piece).Select(ToWire).ToList();
        if (piece.Finish is { } finish)
        {
            if (replies.Count == 0) replies.Add(new GenerateReply());
            replies[^1].FinishReason = finish == Ggml.FinishReason.Length ? FinishReason.Length
                : request.Parser?.HasCalls == true ? FinishReason.ToolCalls : FinishReason.Stop;
            replies[^1].Usage = ToWire(piece.Usage!);
        }
        if (replies.Count == 0) return replies;
        replies[0].Logprobs.AddRange(logprobs);
        logprobs.Clear();
        return replies;
    }

    private IEnumerable<AnswerPart> Parts(GeneratedPiece piece)
    {
        if (request.Parser is not { } parser) return piece.Text.Length > 0 ? [new AnswerPart.Content(piece.Text)] : [];
        var parts = parser.Append(piece.Text);
        return piece.Finish is null ? parts : parts.Concat(parser.End());
    }

    private GenerateReply ToWire(AnswerPart part) => part switch
    {
        AnswerPart.Content content => new() { Text = content.Text },
        AnswerPart.Reasoning thought => new() { Reasoning = thought.Text },
        AnswerPart.Call call => new() { ToolCalls = { new ToolCallDelta { Index = (uint)call.Index, Id = NewId(), Name = call.Name } } },
        AnswerPart.Arguments arguments => new() { ToolCalls = { new ToolCallDelta { Index = (uint)arguments.Index, Arguments = arguments.Json } } },
        _ => throw new InvalidOperationException($"unknown part {part}"),
    };

    private string NewId() => request.Style == ToolCallStyle.Mistral
        ? RandomNumberGenerator.GetString(IdCharacters, MistralIdLength)
        : $"call_{RandomNumberGenerator.GetString(IdCharacters, IdLength)}";

    private Usage ToWire(GenerationUsage usage) => new()
    {
        PromptTokens = (uint)usage.PromptTokens,
        CompletionTokens = (uint)usage.CompletionTokens,
        CachedPromptTokens = (uint)usage.CachedPromptTokens,
        QueueSeconds = usage.QueueTime.TotalSeconds,
        PromptSeconds = usage.PromptTime.TotalSeconds,
        DecodeSeconds = usage.DecodeTime.TotalSeconds,
        LoadSeconds = coldStart.TotalSeconds,
    };

    private static TokenLogprob ToWire(Ggml.TokenLogprob logprob)
    {
        var wire = new TokenLogprob { Token = ByteString.CopyFrom(logprob.Bytes.Span), Logprob = logprob.Logprob };
        wire.Top.AddRange(logprob.Top.Select(ToWire));
        return wire;
    }
}
