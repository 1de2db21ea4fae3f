using System.Text.Json;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Tokenizer">Name or name@version of the model whose tokenizer counts the rows' tokens; null: they are not counted.</param>
public sealed record DatasetIngestionInput(string Dataset, StoredFile Source, JsonElement Options, string CreatedBy, string? Tokenizer = null);

public sealed record DatasetIngestionOutput(DatasetReference Dataset, IngestedDataset Ingested);

/// <summary>find the tokenizer, if one is named → ingest → sign and list.</summary>
[Workflow("DatasetIngestion")]
public sealed class DatasetIngestionWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<DatasetIngestionOutput> RunAsync(DatasetIngestionInput input, JobRun run) =>
        RunJobAsync(run, () => StepsAsync(this, input), ActivityJson.Default.DatasetIngestionOutput);

    internal static async Task<DatasetIngestionOutput> StepsAsync(JobWorkflow job, DatasetIngestionInput input)
    {
        var tokenizer = input.Tokenizer is { } model ? await job.RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(model, ["model"])) : null;
        var ingested = await job.RunStepAsync(
            Activities.IngestDataset, new IngestDataset(input.Dataset, input.Source, input.Options, Workflow.Info.WorkflowId, tokenizer?.Artifact));
        var dataset = await job.RunStepAsync(
            Activities.RecordDatasetVersion, new RecordDatasetVersion(input.Dataset, input.Source, ingested, input.CreatedBy));
        return new DatasetIngestionOutput(dataset, ingested);
    }
}
