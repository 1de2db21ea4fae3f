using System.Runtime.CompilerServices;
using System.Text.Json;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Shapes;

namespace ModelOps.Tables.Datasets;

/// <param name="Number">From 1.</param>
/// <param name="Value">Null: the line is no JSON value, and <paramref name="Fault"/> says why.</param>
public sealed record JsonLine(long Number, JsonElement? Value, string? Fault);

/// <summary>Files of JSON lines as ingestion reads them, looked at before there is a job.</summary>
public static class JsonLines
{
    private const int MostFaults = 100;

    /// <summary>The lines that are not blank; in memory is one at a time.</summary>
    public static async IAsyncEnumerable<JsonLine> ReadAsync(Stream source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in LineRows.ReadAsync(new ByteWindow(source, DatasetIngestion.MaxRowBytes), cancellationToken).ConfigureAwait(false))
            yield return Parse(row);
    }

    /// <summary>Why ingestion would not take every row of the file for supervised fine-tuning.</summary>
    /// <param name="source">Read once, from where it stands; stays the caller's.</param>
    /// <returns>A line each, the first hundred of them; empty: it would.</returns>
    public static async Task<IReadOnlyList<string>> FaultsAsync(Stream source, string fileName, CancellationToken cancellationToken)
    {
        var plan = IngestionPlan.Of(new IngestionOptions());
        switch (await SourceFile.OpenAsync(source, fileName, SourceFormat.JsonLines, plan.KnownColumns, cancellationToken).ConfigureAwait(false))
        {
            case SourceFile.Readable { Compression: { } packed } file:
                await file.Stream.DisposeAsync().ConfigureAwait(false);
                return [$"{fileName} is packed with {packed}; unpack it first"];
            case SourceFile.Readable { Format: not SourceFormat.JsonLines } file:
                await file.Stream.DisposeAsync().ConfigureAwait(false);
                return [$"{fileName} is {SourceFormats.NameOf(file.Format)}; needed are JSON lines: a JSON object a line"];
            case SourceFile.Readable file:
                await using (file.Stream.ConfigureAwait(false))
                    return await FaultsAsync(file, fileName, new RowJudge(file.Format, plan), cancellationToken).ConfigureAwait(false);
            case SourceFile.Unreadable unreadable:
                return [unreadable.Error];
            case var other:
                throw new InvalidOperationException($"{other} is no outcome of opening a file");
        }
    }

    private static async Task<IReadOnlyList<string>> FaultsAsync(SourceFile.Readable file, string fileName, RowJudge judge, CancellationToken cancellationToken)
    {
        var (faults, rows, bad) = (new List<string>(), 0L, 0L);
        await foreach (var row in SourceRows.ReadAsync(file, DatasetIngestion.MaxRowBytes, [], cancellationToken).ConfigureAwait(false))
        {
            rows++;
            if (judge.Judge(row).Fault is not { } fault) continue;
            if (++bad <= MostFaults) faults.Add($"line {row.Line}: {fault}");
        }
        if (rows == 0) return [$"{fileName} is empty: it has no rows"];
        if (judge.Shape is null) return [judge.ExplainNoShape(rows), .. faults];
        if (judge.Shape.Task != DatasetTask.Sft)
            return [$"{fileName} has rows of the shape {judge.Shape.Name} ({judge.Shape.Task.Name}); supervised fine-tuning needs conversations, such as {{\"messages\": […]}}"];
        if (bad > faults.Count) faults.Add($"and {bad - faults.Count} more bad lines of {rows}");
        return faults;
    }

    private static JsonLine Parse(RawRow row)
    {
        if (row.Fault is not null) return new(row.Line, null, row.Fault.ToString());
        try
        {
            return new(row.Line, JsonElement.Parse(row.Json.Span, RowFields.Strict), null);
        }
        catch (JsonException e)
        {
            return new(row.Line, null, $"not valid JSON: {RowJudge.Describe(e)}");
        }
    }
}
