using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Jobs;

/// <summary>What a quantization made, for people: a row a type, and how they compare.</summary>
internal static class QuantizationView
{
    private const int ListedFallbacks = 3;

    public static void Show(Invocation invocation, QuantizationResult result)
    {
        var table = invocation.Table("type", "size", "bits/weight", "perplexity", "KL", "KL p99", "same top", "prompt t/s", "decode t/s", "artifact");
        foreach (var file in result.Artifacts)
        {
            var (quality, speed) = (file.Quality, file.Speed);
            table.AddTextRow(
                file.Type, Human.Bytes(file.Size), $"{file.BitsPerWeight:0.00}",
                $"{quality?.Perplexity:0.000}", $"{quality?.KlDivergence:G3}", $"{quality?.KlDivergenceP99:G3}", $"{quality?.TopOneAgreement:P1}",
                $"{speed?.PromptTokensPerSecond:0}", $"{speed?.DecodeTokensPerSecond:0}", file.Artifact);
        }
        invocation.Screen.Write(table);
        foreach (var line in Lines(result)) invocation.Screen.WriteLine(line);
    }

    public static string ParityOf(ParityReport parity) =>
        $"parity with the trainer: logits within {parity.MaxLogitDifference:G2} (allowed {parity.Tolerance:G2}), same top token {parity.TokenAgreement:P1} over {parity.Prompts} prompts";

    private static IEnumerable<string> Lines(QuantizationResult result)
    {
        if (result.Artifacts is [{ Quality: { } quality, Speed: { } speed }, ..])
            yield return $"source: perplexity {quality.SourcePerplexity:0.000}; KL in nats per token over {quality.Tokens} tokens of {quality.Texts} texts; speed of one sequence with {speed.Threads} threads";
        foreach (var file in result.Artifacts.Where(file => file.Fallbacks.Count > 0)) yield return FallbacksOf(file);
        foreach (var failed in result.Failed) yield return $"{failed.Type} failed: {failed.Error}: {failed.Message}";
        if (result.Parity is { } parity) yield return ParityOf(parity);
        foreach (var line in QuantizationPlot.Lines(result.Artifacts)) yield return line;
        if (result.Artifacts is [var first, ..]) yield return $"Next: modelops deploy {first.Artifact} --name NAME";
    }

    private static string FallbacksOf(QuantizedFile file)
    {
        var listed = file.Fallbacks.Take(ListedFallbacks).Select(fallback => $"{fallback.Tensor} {fallback.WantedType} -> {fallback.Type}");
        var more = file.Fallbacks.Count > ListedFallbacks ? $" and {file.Fallbacks.Count - ListedFallbacks} more" : "";
        return $"{file.Type}: {file.Fallbacks.Count} tensors have rows that the type cannot hold: {string.Join(", ", listed)}{more}";
    }
}
