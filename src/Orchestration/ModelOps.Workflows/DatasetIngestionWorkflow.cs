using System.Text.Json;

namespace ModelOps.Workflows;

public sealed record DatasetIngestionInput(string Dataset, StoredFile Source, JsonElement Options, string CreatedBy);

public sealed record DatasetIngestionOutput(DatasetReference Dataset, IngestedDataset Ingested);

/// <summary>ingest → sign and list.</summary>
public static class DatasetIngestionWorkflow
{
    public static async Task<DatasetIngestionOutput> RunAsync(
        DatasetIngestionInput input, IActivityInvoker activities, CancellationToken cancellationToken)
    {
        var ingested = await activities.ExecuteAsync(
            Activities.IngestDataset,
            new IngestDataset(input.Dataset, input.Source, input.Options),
            cancellationToken).ConfigureAwait(false);
        var dataset = await activities.ExecuteAsync(
            Activities.RecordDatasetVersion,
            new RecordDatasetVersion(input.Dataset, input.Source, ingested, input.CreatedBy),
            cancellationToken).ConfigureAwait(false);
        return new(dataset, ingested);
    }
}
