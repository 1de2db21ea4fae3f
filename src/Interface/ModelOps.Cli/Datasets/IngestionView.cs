using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Datasets;

/// <summary>What became of a file, for people.</summary>
internal static class IngestionView
{
    private const int ShownLines = 5;

    public static IEnumerable<string> Lines(IngestionReport report) =>
    [
        $"read       {report.Source.Format}{Packed(report.Source)} ({report.Source.FormatReason}), shape {report.Source.Shape} ({report.Source.ShapeReason})",
        $"rows       {report.Rows.Read} read, {report.Rows.Kept} kept, {report.Rows.ExactDuplicates} exact duplicates left out",
        .. Bad(report),
        .. report.NearDuplicates is { } near ? Near(near) : [],
        .. report.Pii is { } pii ? Pii(pii) : [],
        .. Statistics(report.Statistics, report.Options?.Tokenizer),
    ];

    private static string Packed(SourceReport source) => source.Compression is { } compression ? $" in {compression}" : "";

    private static IEnumerable<string> Bad(IngestionReport report) =>
        report.Quarantine.Reasons.Select(reason => $"bad        {reason.Rows}: {reason.Reason}, first on line {reason.FirstLine}")
            .Concat(report.Quarantine.Examples.Take(ShownLines).Select(row => $"           line {row.Line}: {row.Reason}"));

    private static IEnumerable<string> Near(NearDuplicateReport near)
    {
        var what = near.Removed ? "left out" : "kept; leave them out with --near-duplicates remove";
        if (near.Rows > 0)
        {
            yield return $"similar    {near.Rows} rows are much like an earlier one ({what})";
        }
        foreach (var pair in near.Examples.Take(ShownLines))
        {
            yield return $"           line {pair.Line} is like line {pair.EarlierLine} ({pair.Similarity:0.00})";
        }
        if (near.AcrossSplits > 0)
        {
            yield return $"leakage    {near.AcrossSplits} of them are like a row in another split";
        }
    }

    private static IEnumerable<string> Pii(PiiReport pii) => pii.Kinds.Count == 0
        ? ["pii        none found"]
        : pii.Kinds.Select(kind => $"pii        {kind.Count} {kind.Kind}{(pii.Mode == "mask" ? " masked" : "")}, lines {string.Join(", ", kind.Lines.Take(ShownLines))}");

    private static IEnumerable<string> Statistics(RowStatistics statistics, string? tokenizer)
    {
        yield return $"messages   {Human.Counts(statistics.MessagesByRole)}; {statistics.Turns.Mean:0.0} a row, at most {statistics.Turns.Most}";
        yield return $"characters {Lengths(statistics.Characters)}";
        if (statistics.Tokens is { } tokens)
        {
            yield return $"tokens     {Lengths(tokens)} ({tokenizer})";
        }
        yield return $"letters    {Human.Counts(statistics.Scripts)}";
        yield return $"longest    {string.Join(", ", statistics.LongestRows.Select(row => $"line {row.Line} ({(row.Tokens is { } count ? $"{count} tokens" : $"{row.Characters} characters")})"))}";
    }

    private static string Lengths(Spread spread) =>
        $"{spread.Total}; {spread.Mean:0} a row{(spread.P50 is { } half ? $", half up to {half}, 95% up to {spread.P95}" : "")}, at most {spread.Most}";
}
