using System.Text.Json;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>The beginning of a file, to be read as an ingestion would.</summary>
/// <param name="Rows">After so many it ends.</param>
/// <param name="CutAt">The stream is the first so many bytes of a longer file; null: it is all of it.</param>
public sealed record PreviewRequest(string FileName, IngestionOptions Options, int Rows, long? CutAt);

/// <summary>What a file would become, as far as it was read.</summary>
public sealed record DatasetPreview
{
    /// <summary>Of the rows that were read; null: no row would be taken, and <see cref="Errors"/> say why.</summary>
    public IngestionReport? Report { get; init; }

    /// <summary>The first ones that would be kept, a JSON object each: <c>split</c> and the columns of the table.</summary>
    public IReadOnlyList<JsonElement> Rows { get; set; } = [];

    /// <summary>The first ones that would not.</summary>
    public IReadOnlyList<RejectedRow> Rejected { get; set; } = [];

    /// <summary>Whether it was read to its end.</summary>
    public bool Whole { get; init; }

    /// <summary>Why the file would be refused; of a file that was not read to its end, if it goes on as it begins.</summary>
    public IReadOnlyList<string> Errors { get; set; } = [];
}

/// <param name="Line">On which it begins, from 1; of a Parquet file the number of the row.</param>
/// <param name="Detail">Where in the row, or what was found.</param>
/// <param name="Raw">What the file says, of a long row the beginning.</param>
public sealed record RejectedRow(long Line, string Reason, string? Detail, string Raw);

public static partial class DatasetIngestion
{
    private const int PreviewExamples = 20;

    // A longer row is not shown.
    private const int LongestExample = 256 << 10;

    /// <summary>Reads the beginning of a file as <see cref="RunAsync"/> would, and commits nothing. Tokens are not counted.</summary>
    /// <param name="content">Stays the caller's.</param>
    /// <exception cref="ArgumentException">The options are not valid.</exception>
    public static async Task<DatasetPreview> PreviewAsync(Stream content, PreviewRequest request, CancellationToken cancellationToken)
    {
        var plan = IngestionPlan.Of(request.Options);
        var source = new CountingStream(content);
        await using var closing = source.ConfigureAwait(false);
        try
        {
            return await SourceFile.OpenAsync(source, request.FileName, plan.Format, plan.KnownColumns, cancellationToken).ConfigureAwait(false) switch
            {
                SourceFile.Readable { Format: SourceFormat.Parquet } when request.CutAt is { } most =>
                    new() { Errors = [$"{request.FileName} is a Parquet file of more than {most >> 20} MiB, which cannot be previewed: Parquet is read from its end"] },
                SourceFile.Readable file => await PreviewAsync(source, file, plan, request, cancellationToken).ConfigureAwait(false),
                SourceFile.Unreadable unreadable => new() { Errors = [unreadable.Error] },
                var other => throw new InvalidOperationException($"{other} is no outcome of opening a file"),
            };
        }
        catch (InvalidDataException e)
        {
            return new() { Errors = [$"{request.FileName}: {e.Message}"] };
        }
    }

    private static async Task<DatasetPreview> PreviewAsync(
        CountingStream source, SourceFile.Readable file, IngestionPlan plan, PreviewRequest request, CancellationToken cancellationToken)
    {
        await using var closing = file.Stream.ConfigureAwait(false);
        var intake = new RowIntake(file.Format, plan, countTokens: null);
        await using var disposing = intake.ConfigureAwait(false);
        var (whole, error) = await ReadBeginningAsync(source, file, plan, request, intake, cancellationToken).ConfigureAwait(false);
        var fault = Fault(intake, error, plan, request.FileName);
        if (fault is not null && (error is not null || intake.Kept == 0)) return new() { Errors = [fault, .. Explain(intake.Quarantine)] };
        var kept = await intake.CompleteAsync(cancellationToken).ConfigureAwait(false);
        var rows = new List<JsonElement>();
        foreach (var (split, staged) in kept.Splits) rows.AddRange(await FirstAsync(staged, split, cancellationToken).ConfigureAwait(false));
        return new()
        {
            Report = Report(request.FileName, request.Options, source.BytesRead, file, intake, kept),
            Rows = [.. rows.OrderBy(row => row.GetProperty("source_line").GetInt64()).Take(PreviewExamples)],
            Rejected = [.. (await FirstAsync(intake.Quarantine.Complete(), split: null, cancellationToken).ConfigureAwait(false)).Select(ToRejected)],
            Whole = whole,
            Errors = fault is null ? [] : [fault],
        };
    }

    /// <returns>Whether that was all of the file, and why it cannot be read on.</returns>
    private static async Task<(bool Whole, string? Error)> ReadBeginningAsync(
        CountingStream source, SourceFile.Readable file, IngestionPlan plan, PreviewRequest request, RowIntake intake, CancellationToken cancellationToken)
    {
        var (whole, error) = (true, (string?)null);
        // Where a file was cut its last row was, too, and what is packed cannot be read up to there.
        bool AtTheCut() => source.BytesRead >= request.CutAt;
        try
        {
            await foreach (var row in SourceRows.ReadAsync(file, MaxRowBytes, plan.KnownColumns, cancellationToken).ConfigureAwait(false))
            {
                if (intake.Read == request.Rows || AtTheCut() || intake.IsHopeless)
                {
                    whole = false;
                    break;
                }
                await intake.TakeAsync(row, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (InvalidDataException) when (AtTheCut())
        {
            whole = false;
        }
        catch (InvalidDataException e)
        {
            error = $"{request.FileName}: {e.Message}";
        }
        await intake.EndAsync(cancellationToken).ConfigureAwait(false);
        return (whole, error);
    }

    private static async Task<IReadOnlyList<JsonElement>> FirstAsync(StagedRows staged, string? split, CancellationToken cancellationToken)
    {
        var rows = new List<JsonElement>();
        foreach (var file in staged.Complete())
            await foreach (var batch in ParquetSourceRows.ReadBatchesAsync(file.Path, cancellationToken).ConfigureAwait(false))
                using (batch)
                    for (var row = 0; row < batch.Length; row++)
                    {
                        if (rows.Count == PreviewExamples) return rows;
                        using var json = new MemoryStream();
                        using (var writer = new Utf8JsonWriter(json)) RowJson.Write(writer, batch, row);
                        if (json.Length > LongestExample) continue;
                        var element = JsonElement.Parse(json.GetBuffer().AsSpan(0, (int)json.Length));
                        rows.Add(split is null ? element : WithSplit(element, split));
                    }
        return rows;
    }

    private static JsonElement WithSplit(JsonElement row, string split)
    {
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            writer.WriteString("split", split);
            foreach (var column in row.EnumerateObject()) column.WriteTo(writer);
            writer.WriteEndObject();
        }
        return JsonElement.Parse(json.GetBuffer().AsSpan(0, (int)json.Length));
    }

    private static RejectedRow ToRejected(JsonElement row) => new(
        row.GetProperty("source_line").GetInt64(), row.GetProperty("reason").GetString()!, row.GetProperty("detail").GetString(), row.GetProperty("raw").GetString()!);
}
