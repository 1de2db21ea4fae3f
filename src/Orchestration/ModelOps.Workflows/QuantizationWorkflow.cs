using System.Text.Json;
using System.Text.Json.Nodes;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

public sealed record QuantizationInput(string Artifact, string Type, string Name, string CreatedBy);

public sealed record QuantizationOutput(PinnedArtifact Artifact, QuantizedModel Quantized);

/// <summary>resolve → merge, convert, quantize, compare → register.</summary>
[Workflow("Quantization")]
public sealed class QuantizationWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<QuantizationOutput> RunAsync(QuantizationInput input, JobRun run) => RunJobAsync(
        run,
        async () =>
        {
            var source = await RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Artifact, ["model", "adapter"]));
            var quantized = await RunStepAsync(
                Activities.QuantizeModel,
                new QuantizeModel(
                    source.Base ?? source.Artifact,
                    source.Base is null ? null : source.Artifact,
                    source.Dataset,
                    input.Type,
                    input.Name));
            var artifact = await RunStepAsync(Activities.RegisterArtifact, Registration(input, source.Artifact, quantized));
            return new QuantizationOutput(artifact, quantized);
        },
        ActivityJson.Default.QuantizationOutput);

    private static RegisterArtifact Registration(QuantizationInput input, PinnedArtifact source, QuantizedModel quantized) => new(
        input.Name,
        "gguf",
        quantized.Files,
        new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["source"] = source },
        JsonElement.Parse(new JsonObject { ["type"] = input.Type }.ToJsonString()),
        new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["bits_per_weight"] = quantized.BitsPerWeight,
            ["parity_max_logit_difference"] = quantized.Parity.MaxLogitDifference,
            ["parity_top1_agreement"] = quantized.Parity.QuantizedTopOneAgreement,
            ["parity_kl_divergence"] = quantized.Parity.QuantizedKlDivergence,
        },
        new Dictionary<string, string>(StringComparer.Ordinal) { ["quantization_type"] = input.Type },
        input.CreatedBy);
}
