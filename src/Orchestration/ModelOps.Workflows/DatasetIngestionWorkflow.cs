using System.Text.Json;

namespace ModelOps.Workflows;

/// <param name="Id">Of this ingestion, the same at every try.</param>
/// <param name="Tokenizer">Name or name@version of the model whose tokenizer counts the rows' tokens; null: they are not counted.</param>
public sealed record DatasetIngestionInput(string Id, string Dataset, StoredFile Source, JsonElement Options, string? Tokenizer, string CreatedBy);

public sealed record DatasetIngestionOutput(DatasetReference Dataset, IngestedDataset Ingested);

/// <summary>find the tokenizer, if one is named → ingest → sign and list.</summary>
public static class DatasetIngestionWorkflow
{
    public static async Task<DatasetIngestionOutput> RunAsync(
        DatasetIngestionInput input, IActivityInvoker activities, CancellationToken cancellationToken)
    {
        var tokenizer = input.Tokenizer is { } model
            ? await activities.ExecuteAsync(Activities.ResolveArtifact, new ResolveArtifact(model, ["model"]), cancellationToken).ConfigureAwait(false)
            : null;
        var ingested = await activities.ExecuteAsync(
            Activities.IngestDataset,
            new IngestDataset(input.Dataset, input.Source, input.Options, input.Id, tokenizer?.Artifact),
            cancellationToken).ConfigureAwait(false);
        var dataset = await activities.ExecuteAsync(
            Activities.RecordDatasetVersion,
            new RecordDatasetVersion(input.Dataset, input.Source, ingested, input.CreatedBy),
            cancellationToken).ConfigureAwait(false);
        return new(dataset, ingested);
    }
}
