using System.Diagnostics;

namespace ModelOps.Inference;

/// <summary>The spans of generations, by OpenTelemetry's conventions for generative AI: one of the request, below it those of the engine.</summary>
public static class InferenceSpans
{
    public const string SourceName = "ModelOps.Inference";

    private static readonly ActivitySource source = new(SourceName);

    /// <param name="model">As the caller names it.</param>
    internal static Activity? Start(GenerationRequest request, string model, string provider)
    {
        var operation = request.Input is GenerationInput.Chat ? "chat" : "text_completion";
        var span = source.StartActivity($"{operation} {model}", ActivityKind.Client);
        if (span is null) return null;
        span.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", provider).SetTag("gen_ai.request.model", model)
            .SetTag("gen_ai.request.temperature", (double)request.Sampling.Temperature).SetTag("gen_ai.request.top_p", (double)request.Sampling.TopP);
        if (request.MaxTokens is { } most) span.SetTag("gen_ai.request.max_tokens", most);
        return span;
    }

    internal static void End(this Activity? span, GenerationPiece end)
    {
        if (span is null) return;
        span.SetTag("gen_ai.response.finish_reasons", new[] { end.Finish.ToString()!.ToLowerInvariant() });
        if (end.Usage is not { } usage) return;
        span.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens).SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens)
            .SetTag("gen_ai.usage.cache_read.input_tokens", usage.CachedPromptTokens);
    }

    /// <summary>What the engine did for the request that is the current span, one behind the other; it says so when all is done.</summary>
    /// <param name="began">When the request came to the engine.</param>
    public static void TellEngine(DateTimeOffset began, GenerationTimes times, TokenUsage usage)
    {
        if (Activity.Current is not { IsAllDataRequested: true, Recorded: true } request) return;
        var at = began;
        Tell("queue", times.Queue, null, 0);
        Tell("prefill", times.Prompt, "gen_ai.usage.input_tokens", usage.PromptTokens);
        Tell("decode", times.Decode, "gen_ai.usage.output_tokens", usage.CompletionTokens);

        void Tell(string name, TimeSpan took, string? counted, int tokens)
        {
            using (var span = source.StartActivity(name, ActivityKind.Internal, request.Context, startTime: at))
            {
                if (counted is not null) span?.SetTag(counted, tokens);
                at += took;
                span?.SetEndTime(at.UtcDateTime);
            }
            Activity.Current = request;
        }
    }
}
