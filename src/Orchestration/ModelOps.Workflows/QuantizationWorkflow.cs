using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelOps.Workflows;

public sealed record QuantizationInput(string Artifact, string Type, string Name, string CreatedBy);

public sealed record QuantizationOutput(PinnedArtifact Artifact, QuantizedModel Quantized);

/// <summary>resolve → merge, convert, quantize, compare → register.</summary>
public static class QuantizationWorkflow
{
    public static async Task<QuantizationOutput> RunAsync(
        QuantizationInput input, IActivityInvoker activities, CancellationToken cancellationToken)
    {
        var source = await activities.ExecuteAsync(
            Activities.ResolveArtifact, new ResolveArtifact(input.Artifact, ["model", "adapter"]), cancellationToken).ConfigureAwait(false);
        var quantized = await activities.ExecuteAsync(
            Activities.QuantizeModel,
            new QuantizeModel(
                source.Base ?? source.Artifact,
                source.Base is null ? null : source.Artifact,
                source.Dataset,
                input.Type,
                input.Name),
            cancellationToken).ConfigureAwait(false);
        var artifact = await activities.ExecuteAsync(
            Activities.RegisterArtifact,
            new RegisterArtifact(
                input.Name,
                "gguf",
                quantized.Files,
                new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["source"] = source.Artifact },
                JsonElement.Parse(new JsonObject { ["type"] = input.Type }.ToJsonString()),
                new Dictionary<string, double>(StringComparer.Ordinal)
                {
                    ["bits_per_weight"] = quantized.BitsPerWeight,
                    ["parity_max_logit_difference"] = quantized.Parity.MaxLogitDifference,
                    ["parity_top1_agreement"] = quantized.Parity.QuantizedTopOneAgreement,
                    ["parity_kl_divergence"] = quantized.Parity.QuantizedKlDivergence,
                },
                new Dictionary<string, string>(StringComparer.Ordinal) { ["quantization_type"] = input.Type },
                input.CreatedBy),
            cancellationToken).ConfigureAwait(false);
        return new(artifact, quantized);
    }
}
