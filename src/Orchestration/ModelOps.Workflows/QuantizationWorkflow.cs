using System.Runtime.ExceptionServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Artifact">A model, an adapter, which is merged into its base, or an unquantized gguf.</param>
/// <param name="Name">Of the artifact made; of several types each has its own behind it.</param>
public sealed record QuantizationInput(string Artifact, string Name, string CreatedBy)
{
    public IReadOnlyList<string> Types { get; init; } = [];

    /// <summary>Of a job that an earlier version began, which knew no other way to say it.</summary>
    public string? Type { get; init; }

    /// <summary>Null: what an adapter was trained on, and greetings for others.</summary>
    public string? Dataset { get; init; }

    public int? Rows { get; init; }

    public string? Importance { get; init; }

    public int? ImportanceRows { get; init; }
}

/// <param name="Failed">Types that could not be made, while others could.</param>
public sealed record QuantizationOutput(IReadOnlyList<QuantizedArtifact> Quantized, IReadOnlyList<FailedType> Failed);

public sealed record QuantizedArtifact(PinnedArtifact Artifact, string Type, QuantizedModel Model);

public sealed record FailedType(string Type, string Error, string Message);

/// <summary>resolve → for each type: merge, convert and compare unless that is done, quantize, compare → register.</summary>
[Workflow("Quantization")]
public sealed class QuantizationWorkflow : JobWorkflow
{
    private static readonly string[] kinds = ["model", "adapter", "gguf"];

    /// <summary>Faults of one type; any other is one of the model, and would come again with the next.</summary>
    private static readonly string[] faultsOfType = [ActivityFailures.QuantizationFailed, ActivityFailures.WorkerDied, ActivityFailures.Internal];

    [WorkflowRun]
    public Task<QuantizationOutput> RunAsync(QuantizationInput input, JobRun run) =>
        RunJobAsync(run, () => StepsAsync(this, input), ActivityJson.Default.QuantizationOutput);

    internal static async Task<QuantizationOutput> StepsAsync(JobWorkflow job, QuantizationInput input)
    {
        var source = await job.RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Artifact, kinds));
        var dataset = input.Dataset is null ? source.Dataset : await DatasetAsync(job, input.Dataset);
        var importance = input.Importance is null ? null : await DatasetAsync(job, input.Importance);
        IReadOnlyList<string> types = input.Type is { } only ? [only] : input.Types;
        var made = new List<QuantizedArtifact>();
        var failed = new List<(FailedType Type, FailureException Cause)>();
        foreach (var type in types)
        {
            try
            {
                var asked = new QuantizeModel(source.Base ?? source.Artifact, source.Base is null ? null : source.Artifact, dataset, type, input.Name)
                {
                    Rows = input.Rows ?? QuantizeModel.DefaultRows,
                    Importance = importance,
                    ImportanceRows = input.ImportanceRows ?? QuantizeModel.DefaultImportanceRows,
                    License = source.License,
                    More = type != types[^1],
                };
                var quantized = await job.RunStepAsync(Activities.QuantizeModel, asked);
                var name = NameOf(input.Name, type, types.Count);
                made.Add(new(await job.RunStepAsync(Activities.RegisterArtifact, Registration(name, input, source.Artifact, asked, quantized)), type, quantized));
            }
            catch (FailureException e) when (!CancelRequested && FailureOf(e) is var failure && faultsOfType.Contains(failure.Type))
            {
                failed.Add((new(type, failure.Type, failure.Message), e));
            }
        }
        if (made.Count == 0) ExceptionDispatchInfo.Throw(failed[0].Cause);
        return new QuantizationOutput(made, [.. failed.Select(failure => failure.Type)]);
    }

    /// <summary>The artifact of a type: the name itself where there is one type only.</summary>
    public static string NameOf(string name, string type, int types) =>
        types == 1 ? name : $"{name}-{type.ToLowerInvariant().Replace('_', '-')}";

    private static async Task<DatasetReference> DatasetAsync(JobWorkflow job, string reference) =>
        (await job.RunStepAsync(Activities.ResolveDataset, new ResolveDataset(reference))).Dataset;

    private static RegisterArtifact Registration(string name, QuantizationInput input, PinnedArtifact source, QuantizeModel asked, QuantizedModel quantized)
    {
        var parents = new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["source"] = source };
        if (asked.Importance is { } importance) parents["importance"] = importance.Artifact;
        return new(
            name,
            "gguf",
            quantized.Files,
            parents,
            Recipe(asked),
            Metrics(quantized),
            new Dictionary<string, string>(StringComparer.Ordinal) { ["quantization_type"] = asked.Type },
            input.CreatedBy);
    }

    /// <summary>All that is needed to do it again.</summary>
    private static JsonElement Recipe(QuantizeModel asked)
    {
        var recipe = new JsonObject { ["type"] = asked.Type };
        if (asked.Dataset is { } dataset) (recipe["dataset"], recipe["rows"]) = ($"{dataset.Name}@{dataset.Version}", asked.Rows);
        if (asked.Importance is { } importance)
            (recipe["importance"], recipe["importance_rows"]) = ($"{importance.Name}@{importance.Version}", asked.ImportanceRows);
        return JsonElement.Parse(recipe.ToJsonString());
    }

    /// <summary>What promotion gates can ask for.</summary>
    private static Dictionary<string, double> Metrics(QuantizedModel quantized)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["size"] = quantized.Size, ["bits_per_weight"] = quantized.BitsPerWeight };
        if (quantized.Parity is { } parity)
        {
            metrics["parity_max_logit_difference"] = parity.MaxLogitDifference;
            metrics["parity_token_agreement"] = parity.TokenAgreement;
        }
        if (quantized.Quality is { } quality)
        {
            metrics["source_perplexity"] = quality.SourcePerplexity;
            metrics["perplexity"] = quality.Perplexity;
            metrics["kl_divergence"] = quality.KlDivergence;
            metrics["kl_divergence_p99"] = quality.KlDivergenceP99;
            metrics["kl_divergence_max"] = quality.KlDivergenceMax;
            metrics["top_one_agreement"] = quality.TopOneAgreement;
        }
        if (quantized.Speed is { } speed)
        {
            metrics["prompt_tokens_per_second"] = speed.PromptTokensPerSecond;
            metrics["decode_tokens_per_second"] = speed.DecodeTokensPerSecond;
        }
        return metrics;
    }
}
