using System.Text.Json;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

public sealed record DatasetIngestionInput(string Dataset, StoredFile Source, JsonElement Options, string CreatedBy);

public sealed record DatasetIngestionOutput(DatasetReference Dataset, IngestedDataset Ingested);

/// <summary>ingest → sign and list.</summary>
[Workflow("DatasetIngestion")]
public sealed class DatasetIngestionWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<DatasetIngestionOutput> RunAsync(DatasetIngestionInput input, JobRun run) => RunJobAsync(
        run,
        async () =>
        {
            var ingested = await RunStepAsync(Activities.IngestDataset, new IngestDataset(input.Dataset, input.Source, input.Options));
            var dataset = await RunStepAsync(
                Activities.RecordDatasetVersion, new RecordDatasetVersion(input.Dataset, input.Source, ingested, input.CreatedBy));
            return new DatasetIngestionOutput(dataset, ingested);
        },
        ActivityJson.Default.DatasetIngestionOutput);
}
