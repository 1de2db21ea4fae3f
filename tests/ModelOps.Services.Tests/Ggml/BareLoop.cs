using ModelOps.Ggml;
using ModelOps.Ggml.Native;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>One sequence, the prompt at once, then token by token, and our own maximum: nothing of the engine.</summary>
internal static class BareLoop
{
    public static int[] Greedy(LlamaModel model, int[] prompt, int maxTokens) => Run(model, prompt, maxTokens, logits => ArgMax(logits));

    /// <param name="choose">The next token, of the logits of the one before.</param>
    public static int[] Run(LlamaModel model, int[] prompt, int maxTokens, Func<float[], int> choose)
    {
        using var context = new LlamaContext(model, new ContextShape(512, 1, 512, 1, Threads: 1, GgmlType.F16, FlashAttention: true));
        for (var i = 0; i < prompt.Length; i++) context.Batch.Add(prompt[i], i, 0, i == prompt.Length - 1);
        var tokens = new List<int>();
        for (var index = prompt.Length - 1; ; index = context.Batch.Add(tokens[^1], prompt.Length + tokens.Count - 1, 0, output: true))
        {
            context.Decode();
            tokens.Add(choose(context.Logits(index).ToArray()));
            if (tokens.Count == maxTokens || model.IsEndOfGeneration(tokens[^1])) return [.. tokens];
        }
    }

    public static int ArgMax(float[] logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        return best;
    }
}

internal static class Prompts
{
    /// <summary>Bytes as tokens of <see cref="TinyGguf"/>.</summary>
    public static int[] Random(int seed, int length)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, 259))];
    }
}
