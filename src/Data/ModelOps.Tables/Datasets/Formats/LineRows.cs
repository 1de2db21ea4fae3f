using System.Runtime.CompilerServices;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>A row a line: JSONL as it is, plain text as <c>{"text": …}</c>. Blank lines are no rows.</summary>
internal static class LineRows
{
    public static async IAsyncEnumerable<RawRow> ReadAsync(ByteWindow window, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = window.Unscanned.IndexOf((byte)'\n');
            window.Scanned = found < 0 ? window.End : window.Scanned + found;
            if (found < 0 && await window.FillAsync(cancellationToken).ConfigureAwait(false)) continue;
            var row = window.Take(window.Line);
            if (row.Fault is not null || row.Raw.Span.IndexOfAnyExcept(" \t\r"u8) >= 0) yield return row;
            if (found < 0) yield break;
            window.Start = ++window.Scanned;
            window.Line++;
        }
    }

    public static async IAsyncEnumerable<RawRow> ReadTextAsync(ByteWindow window, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var writer = new RowWriter();
        await foreach (var row in ReadAsync(window, cancellationToken).ConfigureAwait(false))
        {
            yield return row.Fault is not null ? row : row with { Json = writer.Write(json => json.WriteString("text"u8, row.Raw.Span.TrimEnd((byte)'\r'))) };
        }
    }
}
