using ModelOps.Storage;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

public sealed record IngestionRequest
{
    /// <summary>Read once, from where it stands; stays the caller's.</summary>
    public required Stream Source { get; init; }

    /// <summary>Bytes of the source; null: not known.</summary>
    public long? SourceLength { get; init; }

    /// <summary>For messages, and to tell formats apart whose content does not.</summary>
    public required string FileName { get; init; }

    public required string Dataset { get; init; }

    public required IObjectStore Tables { get; init; }

    /// <summary>
    /// The same however often an ingestion is tried: a table that an earlier try has committed is not committed again. null: each run is one of its own.
    /// </summary>
    public string? Job { get; init; }

    public IngestionOptions Options { get; init; } = new();

    /// <summary>Tokens of a text; null: they are not counted.</summary>
    public Func<string, int>? CountTokens { get; init; }
}

/// <param name="BytesRead">Of the file as it is, packed or not.</param>
/// <param name="Bytes">Of the whole file; null: not known.</param>
/// <param name="Rows">Read so far, bad ones and duplicates included.</param>
/// <param name="BadRows">Bad ones among them.</param>
public sealed record IngestionProgress(long BytesRead, long? Bytes, long Rows, long BadRows);

public abstract record IngestionOutcome
{
    private IngestionOutcome()
    {
    }

    /// <param name="TableVersions">Per split, and of the quarantine.</param>
    public sealed record Ingested(IReadOnlyDictionary<string, long> TableVersions, IngestionReport Report) : IngestionOutcome;

    /// <summary>Nothing was committed.</summary>
    public sealed record Rejected(IReadOnlyList<string> Errors) : IngestionOutcome;
}

/// <summary>A file of rows into the tables datasets/NAME/{train,validation,test,quarantine}.</summary>
public static partial class DatasetIngestion
{
    /// <summary>A longer row is a bad row.</summary>
    internal const int MaxRowBytes = 32 << 20;
    private const int RowsPerReport = 1000;

    /// <summary>
    /// Reads a file and replaces the rows of all four tables, one commit each. The versions in the outcome belong together: an ingestion that
    /// breaks off between commits leaves newer versions that no outcome names, until it is run again for the same job. In memory are a row, 16 bytes
    /// of hash for each row that was kept, and a batch on its way to the disk.
    /// </summary>
    /// <exception cref="ArgumentException">The dataset's name or the options are not valid.</exception>
    /// <exception cref="DeltaException">A table of the dataset is broken, or another program changed its schema.</exception>
    public static async Task<IngestionOutcome> RunAsync(
        IngestionRequest request, IProgress<IngestionProgress>? progress, CancellationToken cancellationToken)
    {
        DatasetTables.ThrowUnlessValid(request.Dataset);
        var plan = IngestionPlan.Of(request.Options);
        var source = new CountingStream(request.Source);
        await using var closing = source.ConfigureAwait(false);
        try
        {
            return await SourceFile.OpenAsync(source, request.FileName, plan.Format, plan.KnownColumns, cancellationToken).ConfigureAwait(false) switch
            {
                SourceFile.Readable file => await IngestAsync(request, plan, source, file, progress, cancellationToken).ConfigureAwait(false),
                SourceFile.Unreadable unreadable => new IngestionOutcome.Rejected([unreadable.Error]),
                var other => throw new InvalidOperationException($"{other} is no outcome of opening a file"),
            };
        }
        catch (InvalidDataException e)
        {
            return new IngestionOutcome.Rejected([$"{request.FileName}: {e.Message}"]); // packed, and broken at the beginning
        }
    }

    private static async Task<IngestionOutcome> IngestAsync(
        IngestionRequest request, IngestionPlan plan, CountingStream source, SourceFile.Readable file, IProgress<IngestionProgress>? progress,
        CancellationToken cancellationToken)
    {
        await using var closing = file.Stream.ConfigureAwait(false);
        var intake = new RowIntake(file.Format, plan, request.CountTokens);
        await using var disposing = intake.ConfigureAwait(false);
        // 1. Rows: nothing is in the store before all of them were seen.
        var error = await ReadAsync(request, plan, source, file, intake, progress, cancellationToken).ConfigureAwait(false);
        if (Fault(intake, error, plan, request.FileName) is { } fault) return new IngestionOutcome.Rejected([fault, .. Explain(intake.Quarantine)]);
        var sink = new DatasetSink(request.Tables, request.Dataset, request.Job);
        if (await sink.CheckAsync(intake.Judge.Shape!.Task, cancellationToken).ConfigureAwait(false) is { } misfit)
            return new IngestionOutcome.Rejected([misfit]);
        // 2. What rows have in common.
        var kept = await intake.CompleteAsync(cancellationToken).ConfigureAwait(false);
        // 3. One commit a table.
        var versions = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var split in DatasetTables.Splits)
            versions[split] = await sink.CommitAsync(split, kept.Splits[split], cancellationToken).ConfigureAwait(false);
        versions[DatasetTables.Quarantine] =
            await sink.CommitAsync(DatasetTables.Quarantine, intake.Quarantine.Complete(), cancellationToken).ConfigureAwait(false);
        return new IngestionOutcome.Ingested(versions, Report(request.FileName, request.Options, source.BytesRead, file, intake, kept));
    }

    /// <returns>Why the file cannot be read to its end.</returns>
    private static async Task<string?> ReadAsync(
        IngestionRequest request, IngestionPlan plan, CountingStream source, SourceFile.Readable file, RowIntake intake,
        IProgress<IngestionProgress>? progress, CancellationToken cancellationToken)
    {
        void ReportProgress() => progress?.Report(new(source.BytesRead, request.SourceLength, intake.Read, intake.Quarantine.Rows));
        try
        {
            await foreach (var row in SourceRows.ReadAsync(file, MaxRowBytes, plan.KnownColumns, cancellationToken).ConfigureAwait(false))
            {
                await intake.TakeAsync(row, cancellationToken).ConfigureAwait(false);
                if (intake.IsHopeless) break;
                if (intake.Read % RowsPerReport != 0) continue;
                ReportProgress();
                cancellationToken.ThrowIfCancellationRequested(); // a buffer of short rows is read without waiting
            }
            await intake.EndAsync(cancellationToken).ConfigureAwait(false);
            ReportProgress();
            return null;
        }
        catch (InvalidDataException e)
        {
            return $"{request.FileName}: {e.Message}";
        }
    }

    /// <param name="error">Why the file cannot be read to its end.</param>
    /// <returns>Why its rows are not taken; null: they are.</returns>
    private static string? Fault(RowIntake intake, string? error, IngestionPlan plan, string fileName)
    {
        var bad = intake.Quarantine.Rows;
        if (error is not null) return error;
        if (intake.Read == 0) return $"{fileName} is empty: it has no rows";
        if (intake.Judge.Shape is null) return intake.Judge.ExplainNoShape(intake.Read);
        if (plan.MaxBad.IsExceeded(bad, intake.Read)) return $"{bad} of {intake.Read} rows are bad, more than {plan.MaxBad} (--max-bad)";
        return intake.Kept == 0 ? $"{fileName} has no good row" : null;
    }

    private static IEnumerable<string> Explain(Quarantine quarantine)
    {
        var report = quarantine.Report();
        return report.Reasons.Select(reason => $"{reason.Rows} row{(reason.Rows == 1 ? "" : "s")}: {reason.Reason}, first on line {reason.FirstLine}")
            .Concat(report.Examples.Select(row => $"line {row.Line}: {row.Reason}"));
    }

    private static IngestionReport Report(string fileName, IngestionOptions options, long bytes, SourceFile.Readable file, RowIntake intake, KeptRows kept) => new()
    {
        Source = new()
        {
            FileName = fileName,
            Bytes = bytes,
            Format = SourceFormats.NameOf(file.Format),
            FormatReason = file.Reason,
            Compression = file.Compression,
            Encoding = file.Encoding,
            Shape = intake.Judge.Shape!.Name,
            ShapeReason = intake.Judge.ShapeReason,
        },
        Options = options,
        Task = intake.Judge.Shape.Task.Name,
        Rows = new()
        {
            Read = intake.Read,
            Kept = kept.Splits.Values.Sum(split => split.Rows),
            Quarantined = intake.Quarantine.Rows,
            ExactDuplicates = intake.Duplicates,
            NearDuplicatesRemoved = kept.NearDuplicatesRemoved,
        },
        Splits = kept.Splits.ToDictionary(split => split.Key, split => split.Value.Rows, StringComparer.Ordinal),
        Quarantine = intake.Quarantine.Report(),
        NearDuplicates = kept.NearDuplicates,
        Pii = kept.Pii,
        Statistics = kept.Statistics,
    };
}
