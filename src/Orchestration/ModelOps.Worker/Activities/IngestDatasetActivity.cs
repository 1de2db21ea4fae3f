using System.Security.Cryptography;
using System.Text.Json;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Queries;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class IngestDatasetActivity(VerifiedArtifacts artifacts, BlobStore blobs, Hosting.Tables tables)
{
    public async Task<IngestedDataset> RunAsync(IngestDataset input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        await using var source = await blobs.OpenAsync(input.Source.Sha256, cancellationToken)
            ?? throw new ActivityException(ActivityFailures.InvalidInput, $"the uploaded file {input.Source.Sha256} is gone; upload it again");
        var request = new IngestionRequest
        {
            Source = source,
            SourceLength = input.Source.Size,
            FileName = input.Source.Path,
            Dataset = input.Dataset,
            Tables = tables.Store,
            Job = input.Job,
            CountTokens = await TokenCounterAsync(input.Tokenizer, cancellationToken),
            Options = input.Options.Deserialize(IngestionJson.Default.IngestionOptions)!,
        };
        var reports = new SyncProgress<IngestionProgress>(read => progress.Report(ToActivity(read)));
        return await DatasetIngestion.RunAsync(request, reports, cancellationToken) switch
        {
            IngestionOutcome.Ingested done => new IngestedDataset(
                done.Report.Task,
                done.TableVersions,
                await CountedAsync(input.Dataset, done, cancellationToken),
                done.Report.Rows.Quarantined,
                JsonSerializer.SerializeToElement(done.Report, IngestionJson.Default.IngestionReport),
                await StoreAsync(done.Report, cancellationToken)),
            IngestionOutcome.Rejected rejected => throw new ActivityException(
                ActivityFailures.InvalidRows, string.Join('\n', rejected.Errors)),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private async Task<Func<string, int>?> TokenCounterAsync(PinnedArtifact? model, CancellationToken cancellationToken)
    {
        if (model is null) return null;
        var folder = await artifacts.FolderAsync(model, FileChecks.Remembered, cancellationToken);
        try
        {
            var tokenizer = HuggingFaceTokenizer.Load(folder);
            return text => tokenizer.Encode(text).Length;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or NotSupportedException)
        {
            throw new ActivityException(ActivityFailures.InvalidInput, $"{model} has no tokenizer to count with: {e.Message}", cause: e);
        }
    }

    /// <summary>Rows per split as another reader of the tables counts them: what was written is what is there.</summary>
    private async Task<IReadOnlyDictionary<string, long>> CountedAsync(
        string dataset, IngestionOutcome.Ingested done, CancellationToken cancellationToken)
    {
        var counted = await QueryTables.CountAsync(tables.Store, dataset, done.TableVersions, cancellationToken);
        foreach (var (split, rows) in done.Report.Splits)
            if (counted[split] != rows)
                throw new InvalidOperationException($"{rows} rows were written to {dataset}/{split}, and DuckDB counts {counted[split]}");
        return done.Report.Splits;
    }

    private async Task<StoredFile> StoreAsync(IngestionReport report, CancellationToken cancellationToken)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(report, IngestionJson.Default.IngestionReport);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        using var content = new MemoryStream(bytes);
        await blobs.PutAsync(sha256, content, cancellationToken);
        return new(IngestedDataset.ReportPath, bytes.Length, sha256);
    }

    private static ActivityProgress ToActivity(IngestionProgress read) => new(
        "reading", read.BytesRead, read.Bytes, new Dictionary<string, double>(StringComparer.Ordinal) { ["rows"] = read.Rows, ["bad_rows"] = read.BadRows });
}
