using System.Text;
using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

/// <summary>The engine's words in OpenAI's.</summary>
internal static class OpenAIText
{
    public static string Of(FinishReason reason) => reason switch
    {
        FinishReason.Length => "length",
        FinishReason.ToolCalls => "tool_calls",
        _ => "stop",
    };

    public static CompletionUsage? Of(TokenUsage? usage) => usage is null
        ? null
        : new(usage.PromptTokens, usage.CompletionTokens, usage.PromptTokens + usage.CompletionTokens, new(usage.CachedPromptTokens));

    public static ChatTokenLogprob Of(TokenLogprob logprob) => Alone(logprob) with { TopLogprobs = [.. logprob.Top.Select(Alone)] };

    private static ChatTokenLogprob Alone(TokenLogprob logprob) =>
        new(Encoding.UTF8.GetString(logprob.Token.Span), logprob.LogProbability, [.. logprob.Token.ToArray().Select(value => (int)value)]);
}
