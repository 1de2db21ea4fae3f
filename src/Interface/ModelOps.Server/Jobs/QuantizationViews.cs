using ModelOps.Client;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>What a quantization made, in the wire's words.</summary>
internal static class QuantizationViews
{
    public static QuantizationResult ToWire(QuantizationOutput output) => new()
    {
        Artifacts = [.. output.Quantized.Select(ToWire)],
        Failed = [.. output.Failed.Select(failed => new FailedQuantization(failed.Type, failed.Error, failed.Message))],
        Parity = output.Quantized.Select(made => made.Model.Parity).FirstOrDefault() is { } parity
            ? new ParityReport
            {
                Prompts = parity.Prompts,
                Tokens = parity.Tokens,
                MaxLogitDifference = parity.MaxLogitDifference,
                Tolerance = parity.Tolerance,
                TokenAgreement = parity.TokenAgreement,
            }
            : null,
    };

    private static QuantizedFile ToWire(QuantizedArtifact made) => new()
    {
        Artifact = made.Artifact.ToString(),
        Type = made.Type,
        Size = made.Model.Size,
        BitsPerWeight = made.Model.BitsPerWeight,
        Fallbacks = [.. (made.Model.Fallbacks ?? []).Select(fallback => new TensorFallback(fallback.Tensor, fallback.WantedType, fallback.Type))],
        Quality = made.Model.Quality is { } quality
            ? new QualityComparison
            {
                Texts = quality.Texts,
                Tokens = quality.Tokens,
                SourcePerplexity = quality.SourcePerplexity,
                Perplexity = quality.Perplexity,
                KlDivergence = quality.KlDivergence,
                KlDivergenceP99 = quality.KlDivergenceP99,
                KlDivergenceMax = quality.KlDivergenceMax,
                TopOneAgreement = quality.TopOneAgreement,
            }
            : null,
        Speed = made.Model.Speed is { } speed
            ? new MeasuredSpeed(speed.PromptTokensPerSecond, speed.DecodeTokensPerSecond, speed.PromptTokens, speed.Threads)
            : null,
    };
}
