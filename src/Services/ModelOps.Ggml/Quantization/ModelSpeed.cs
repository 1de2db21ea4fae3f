using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>How fast a model computes one sequence on this machine.</summary>
/// <param name="PromptTokensPerSecond">Of a prompt, all its tokens at once.</param>
/// <param name="DecodeTokensPerSecond">Of an answer, one token after another.</param>
/// <param name="PromptTokens">Length of the prompt.</param>
public sealed record ModelSpeed(double PromptTokensPerSecond, double DecodeTokensPerSecond, int PromptTokens, int Threads)
{
    private const int LongestPrompt = 128;
    private const int DecodedTokens = 16;

    /// <summary>Passes are repeated until they took so long: a small model's is over before a clock can tell.</summary>
    private static readonly TimeSpan enough = TimeSpan.FromSeconds(0.5);

    /// <summary>Measures with keys and values in F16, as serving has them, after a pass that warms up.</summary>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public static ModelSpeed Measure(LlamaModel model, int threads, TimeProvider time, CancellationToken cancellationToken = default)
    {
        var prompt = Math.Clamp(model.ContextLength / 2, 1, LongestPrompt);
        var decoded = Math.Min(DecodedTokens, model.ContextLength - prompt);
        using var context = new LlamaContext(model, new ContextShape(prompt + decoded, 1, prompt, 1, threads, GgmlType.F16, FlashAttention: true));
        // Which tokens they are makes no difference to the arithmetic.
        var token = model.BosToken?.Id ?? 0;
        var (promptTime, decodeTime, passes) = (TimeSpan.Zero, TimeSpan.Zero, 0);
        Pass();
        for (; promptTime + decodeTime < enough; passes++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (ofPrompt, ofDecode) = Pass();
            promptTime += ofPrompt;
            decodeTime += ofDecode;
        }
        return new(passes * prompt / promptTime.TotalSeconds, passes * decoded / decodeTime.TotalSeconds, prompt, threads);

        (TimeSpan Prompt, TimeSpan Decode) Pass()
        {
            context.Clear();
            var start = time.GetTimestamp();
            for (var i = 0; i < prompt; i++) context.Batch.Add(token, i, sequence: 0, output: i == prompt - 1);
            context.Decode();
            var middle = time.GetTimestamp();
            for (var i = 0; i < decoded; i++)
            {
                context.Batch.Add(token, prompt + i, sequence: 0, output: true);
                context.Decode();
            }
            return (time.GetElapsedTime(start, middle), time.GetElapsedTime(middle));
        }
    }
}
