using System.Diagnostics.CodeAnalysis;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>The bad rows of a file: each with line, reason and what it says, as a table of its own, and counted by reason.</summary>
internal sealed class Quarantine : IDisposable
{
    /// <summary>Characters of a row that are kept.</summary>
    public const int MaxRaw = 4096;

    private const int BatchRows = 256;
    private const int MaxExamples = 20;

    // Reasons are few; keys of rows are not, so that a file that is all wrong fills no memory.
    private const int MaxReasons = 200;
    private const string OtherReasons = "other reasons";

    private readonly StagedRows staged = new(Schema);
    private readonly List<(long Line, RowFault Fault, string Raw)> pending = [];
    private readonly Dictionary<string, (long Rows, long FirstLine)> reasons = new(StringComparer.Ordinal);
    private readonly List<BadRow> examples = [];

    public static Schema Schema { get; } = new(
        [
            new Field("source_line", Int64Type.Default, nullable: false),
            new Field("reason", StringType.Default, nullable: false),
            new Field("detail", StringType.Default, nullable: true),
            new Field("raw", StringType.Default, nullable: false),
        ],
        metadata: null);

    public long Rows { get; private set; }

    /// <param name="show">What may be shown of the row.</param>
    public void Add(RawRow row, RowFault fault, Func<string, string> show)
    {
        Rows++;
        var reason = reasons.ContainsKey(fault.Reason) || reasons.Count < MaxReasons ? fault.Reason : OtherReasons;
        var (count, first) = reasons.GetValueOrDefault(reason, (0, row.Line));
        reasons[reason] = (count + 1, first);
        fault = fault with { Detail = fault.Detail is null ? null : show(fault.Detail) };
        if (examples.Count < MaxExamples) examples.Add(new() { Line = row.Line, Reason = fault.ToString() });
        pending.Add((row.Line, fault, show(Text(row.Raw.Span))));
        if (pending.Count >= BatchRows) Flush();
    }

    public QuarantineReport Report() => new()
    {
        Reasons =
        [
            .. reasons.OrderByDescending(reason => reason.Value.Rows).ThenBy(reason => reason.Value.FirstLine)
                .Select(reason => new QuarantineReason { Reason = reason.Key, Rows = reason.Value.Rows, FirstLine = reason.Value.FirstLine }),
        ],
        Examples = examples,
    };

    public StagedRows Complete()
    {
        Flush();
        return staged;
    }

    public void Dispose() => staged.Dispose();

    private static string Text(ReadOnlySpan<byte> raw)
    {
        var text = Encoding.UTF8.GetString(raw[..Math.Min(raw.Length, MaxRaw)]);
        return raw.Length <= MaxRaw ? text : $"{text}…";
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the batch owns its columns")]
    private void Flush()
    {
        if (pending.Count == 0) return;
        var (lines, texts) = (new Int64Array.Builder(), new[] { new StringArray.Builder(), new StringArray.Builder(), new StringArray.Builder() });
        foreach (var (line, fault, raw) in pending)
        {
            lines.Append(line);
            texts[0].Append(fault.Reason);
            texts[1].Append(fault.Detail);
            texts[2].Append(raw);
        }
        using var batch = new RecordBatch(Schema, [lines.Build(), texts[0].Build(), texts[1].Build(), texts[2].Build()], pending.Count);
        staged.Write(batch);
        pending.Clear();
    }
}
