using System.Text.Json;
using ModelOps.Client;
using ModelOps.Studio.Artifacts;

namespace ModelOps.Studio.Training;

/// <summary>What a type costs and what it keeps.</summary>
/// <param name="Artifact"><c>name@version</c></param>
/// <param name="Size">Bytes.</param>
/// <param name="KlDivergence">From the source, nats per token.</param>
public sealed record QuantizationPoint(string Type, string Artifact, long Size, double Bits, double Perplexity, double KlDivergence)
{
    /// <returns>Null: it was not compared with its source.</returns>
    public static QuantizationPoint? Of(QuantizedFile file) => file.Quality is { } quality
        ? new(file.Type, file.Artifact, file.Size, file.BitsPerWeight, quality.Perplexity, quality.KlDivergence)
        : null;

    /// <returns>Null: it is no quantized model, or was not compared with its source.</returns>
    public static QuantizationPoint? Of(Artifact artifact) =>
        artifact.Metrics.TryGetValue("perplexity", out var perplexity) && artifact.Metrics.TryGetValue("kl_divergence", out var divergence)
        && artifact.Metrics.TryGetValue("bits_per_weight", out var bits) && artifact.Recipe is { ValueKind: JsonValueKind.Object } recipe && recipe.TryGetProperty("type", out var type)
            ? new(type.ToString(), ArtifactText.ReferenceOf(artifact), artifact.Size, bits, perplexity, divergence)
            : null;
}
