using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class IngestDatasetActivity(BlobStore blobs, Hosting.Tables tables)
{
    public async Task<IngestedDataset> RunAsync(IngestDataset input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        await using var source = await blobs.OpenAsync(input.SourceSha256, cancellationToken)
            ?? throw new ActivityException(ActivityFailures.InvalidInput, $"the uploaded file {input.SourceSha256} is gone; upload it again");
        var request = new IngestionRequest
        {
            Source = source,
            FileName = input.FileName,
            Dataset = input.Dataset,
            Tables = tables.Store,
            MaxRejected = input.MaxRejected,
        };
        var reports = new SyncProgress<IngestionProgress>(rows => progress.Report(ActivityProgress.Of("reading rows", rows.Rows)));
        return await DatasetIngestion.RunAsync(request, reports, cancellationToken) switch
        {
            IngestionOutcome.Ingested done => new IngestedDataset(
                done.Shape,
                done.TableVersions,
                await CountedAsync(input.Dataset, done, cancellationToken),
                done.Duplicates,
                done.RejectedRows,
                done.Rejections),
            IngestionOutcome.Rejected rejected => throw new ActivityException(
                ActivityFailures.InvalidRows, string.Join('\n', rejected.Errors)),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    /// <summary>Rows per split as another reader of the tables counts them: what was written is what is there.</summary>
    private async Task<IReadOnlyDictionary<string, long>> CountedAsync(
        string dataset, IngestionOutcome.Ingested done, CancellationToken cancellationToken)
    {
        var counted = await DatasetQuery.CountAsync(tables.Store, dataset, done.TableVersions, cancellationToken);
        foreach (var (split, rows) in done.Rows)
            if (counted[split] != rows)
                throw new InvalidOperationException($"{rows} rows were written to {dataset}/{split}, and DuckDB counts {counted[split]}");
        return counted;
    }
}
