using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

public sealed record IngestionRequest
{
    /// <summary>Read once, from where it stands; stays the caller's.</summary>
    public required Stream Source { get; init; }

    /// <summary>For messages only; what the file is, its content says.</summary>
    public required string FileName { get; init; }

    public required string Dataset { get; init; }

    public required IObjectStore Tables { get; init; }

    /// <summary>Share of the rows that may be bad, 0 to 1.</summary>
    /// <value>The default value is 0.05.</value>
    public double MaxRejected { get; init; } = 0.05;
}

/// <param name="Rows">Read so far, bad ones and duplicates included.</param>
/// <param name="Rejected">Bad ones among them.</param>
public sealed record IngestionProgress(long Rows, long Rejected);

public abstract record IngestionOutcome
{
    private IngestionOutcome()
    {
    }

    /// <param name="Shape">chat, sharegpt, alpaca, prompt-completion or question-answer.</param>
    /// <param name="TableVersions">Per split.</param>
    /// <param name="Rows">Per split.</param>
    /// <param name="Duplicates">Rows dropped because an earlier one has the same messages.</param>
    /// <param name="Rejections">Line and reason of the first 20 bad rows.</param>
    public sealed record Ingested(
        string Shape,
        IReadOnlyDictionary<string, long> TableVersions,
        IReadOnlyDictionary<string, long> Rows,
        long Duplicates,
        long RejectedRows,
        IReadOnlyList<string> Rejections) : IngestionOutcome;

    /// <summary>Nothing was committed.</summary>
    public sealed record Rejected(IReadOnlyList<string> Errors) : IngestionOutcome;
}

/// <summary>A file of conversations into the tables datasets/NAME/{train,validation,test}.</summary>
public static class DatasetIngestion
{
    /// <summary>A longer row is a bad row.</summary>
    internal const int MaxRowBytes = 32 << 20;
    private const int RowsPerReport = 1000;

    /// <summary>
    /// Reads JSONL or a JSON array, plain or gzip-compressed, and replaces the rows of all three tables, one commit each. The versions in the
    /// outcome belong together: an ingestion that breaks off between commits leaves newer versions that no outcome names.
    /// </summary>
    /// <exception cref="ArgumentException">The dataset's name or <see cref="IngestionRequest.MaxRejected"/> is not valid.</exception>
    /// <exception cref="DeltaException">A table of the dataset is broken, or another program changed its schema.</exception>
    public static async Task<IngestionOutcome> RunAsync(
        IngestionRequest request, IProgress<IngestionProgress>? progress, CancellationToken cancellationToken)
    {
        if (request.MaxRejected is not (>= 0 and <= 1))
            throw new ArgumentException($"MaxRejected is {request.MaxRejected}; it is a share from 0 to 1", nameof(request));
        DatasetTables.ThrowUnlessValid(request.Dataset);

        using var rows = new SplitRows();
        var (intake, error) = await ReadAsync(request, rows, progress, cancellationToken).ConfigureAwait(false);
        if (Faults(intake, error, request) is { Count: > 0 } errors) return new IngestionOutcome.Rejected(errors);

        var versions = new Dictionary<string, long>(StringComparer.Ordinal);
        var staged = rows.Complete();
        foreach (var split in DatasetTables.Splits)
            versions[split] = await CommitAsync(request, split, staged[split], cancellationToken).ConfigureAwait(false);
        var counts = staged.ToDictionary(split => split.Key, split => split.Value.Rows, StringComparer.Ordinal);
        return new IngestionOutcome.Ingested(intake!.Shape!.Name, versions, counts, intake.Duplicates, intake.Rejected, intake.Reasons);
    }

    private static async Task<(RowIntake? Intake, string? Error)> ReadAsync(
        IngestionRequest request, SplitRows rows, IProgress<IngestionProgress>? progress, CancellationToken cancellationToken)
    {
        RowIntake? intake = null;
        try
        {
            var text = await SourceText.OpenAsync(request.Source, request.FileName, cancellationToken).ConfigureAwait(false);
            if (text is SourceText.Unreadable unreadable) return (intake, unreadable.Error);
            var (stream, format) = (SourceText.Readable)text;
            await using var closing = stream.ConfigureAwait(false);
            intake = new(format, rows);
            var raw = new RawRows(stream, MaxRowBytes);
            var source = format == SourceFormat.JsonArray ? raw.ReadArrayAsync(cancellationToken) : raw.ReadLinesAsync(cancellationToken);
            await foreach (var row in source.ConfigureAwait(false))
            {
                intake.Take(row);
                if (intake.IsHopeless) break;
                if (intake.Read % RowsPerReport == 0) progress?.Report(new(intake.Read, intake.Rejected));
            }
            progress?.Report(new(intake.Read, intake.Rejected));
            return (intake, null);
        }
        catch (InvalidDataException e)
        {
            return (intake, $"{request.FileName}: {e.Message}");
        }
    }

    private static IReadOnlyList<string> Faults(RowIntake? intake, string? error, IngestionRequest request)
    {
        if (error is not null) return [error, .. intake?.Reasons ?? []];
        if (intake is not { Read: > 0 }) return [$"{request.FileName} is empty: it has no rows"];
        if (intake.Shape is null) return [.. intake.ExplainNoShape()];
        var share = (double)intake.Rejected / intake.Read;
        return share > request.MaxRejected
            ? [$"{intake.Rejected} of {intake.Read} rows are bad, more than {request.MaxRejected:P0}", .. intake.Reasons]
            : [];
    }

    private static async Task<long> CommitAsync(
        IngestionRequest request, string split, StagedRows rows, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(request.Dataset, split);
        var schema = DatasetTables.Schema;
        var table = await DeltaTable.OpenAsync(request.Tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DeltaTable.CreateAsync(request.Tables, path, schema, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DatasetReader.OpenAsync(request.Tables, request.Dataset, split, cancellationToken).ConfigureAwait(false);
        return await table.OverwriteAsync(rows, cancellationToken).ConfigureAwait(false) switch
        {
            CommitOutcome.Committed committed => committed.Version,
            CommitOutcome.Conflict conflict => throw new DeltaException(conflict.Reason),
            var other => throw new InvalidOperationException($"{other} is no outcome of a commit"),
        };
    }
}
