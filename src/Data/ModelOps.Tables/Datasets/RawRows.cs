using System.Runtime.CompilerServices;

namespace ModelOps.Tables.Datasets;

/// <param name="Line">On which the row begins, from 1.</param>
/// <param name="Json">Valid until the next row is asked for; empty if too long.</param>
internal readonly record struct RawRow(long Line, ReadOnlyMemory<byte> Json, bool IsTooLong);

/// <summary>Cuts a file into the JSON texts of its rows. Holds one row and a read buffer in memory.</summary>
/// <param name="maxRow">Bytes; a longer row is passed over and reported.</param>
internal sealed class RawRows(Stream stream, int maxRow)
{
    private byte[] buffer = new byte[1 << 16];
    private int start;
    private int scanned;
    private int end;
    private long line = 1;

    /// <summary>Lines that are not blank.</summary>
    public async IAsyncEnumerable<RawRow> ReadLinesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var isTooLong = false;
        while (true)
        {
            var found = buffer.AsSpan(scanned, end - scanned).IndexOf((byte)'\n');
            scanned = found < 0 ? end : scanned + found;
            if (found < 0)
            {
                isTooLong |= DropIfTooLong();
                if (await FillAsync(cancellationToken).ConfigureAwait(false)) continue;
            }
            isTooLong |= scanned - start > maxRow;
            var row = buffer.AsMemory(start..scanned);
            if (isTooLong || row.Span.IndexOfAnyExcept(" \t\r"u8) >= 0) yield return new(line, isTooLong ? default : row, isTooLong);
            if (found < 0) yield break;
            start = ++scanned;
            line++;
            isTooLong = false;
        }
    }

    /// <summary>The elements of the one array that the file is.</summary>
    /// <exception cref="InvalidDataException">The file is no array, or is cut off.</exception>
    public async IAsyncEnumerable<RawRow> ReadArrayAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await ExpectAsync("["u8.ToArray(), cancellationToken).ConfigureAwait(false);
        if (await PeekAsync(cancellationToken).ConfigureAwait(false) == ']') start++;
        else
        {
            do yield return await ElementAsync(cancellationToken).ConfigureAwait(false);
            while (await ExpectAsync(",]"u8.ToArray(), cancellationToken).ConfigureAwait(false) == ',');
        }
        if (await PeekAsync(cancellationToken).ConfigureAwait(false) >= 0) throw Broken("there is more after the end of the array");
    }

    private async Task<RawRow> ElementAsync(CancellationToken cancellationToken)
    {
        await PeekAsync(cancellationToken).ConfigureAwait(false);
        var first = line;
        var nesting = default(JsonNesting);
        var isTooLong = false;
        scanned = start;
        while (!Scan(ref nesting))
        {
            isTooLong |= DropIfTooLong();
            if (!await FillAsync(cancellationToken).ConfigureAwait(false))
                throw Broken($"the array is cut off: its element from line {first} on does not end");
        }
        isTooLong |= scanned - start > maxRow;
        var row = buffer.AsMemory(start..scanned);
        start = scanned;
        return row.Span.IndexOfAnyExcept(" \t\r\n"u8) < 0 && !isTooLong
            ? throw Broken("an element of the array is missing")
            : new(first, isTooLong ? default : row, isTooLong);
    }

    /// <returns>Whether the element ends at <see cref="scanned"/>.</returns>
    private bool Scan(ref JsonNesting nesting)
    {
        for (; scanned < end; scanned++)
        {
            var next = buffer[scanned];
            if (nesting.EndsBefore(next)) return true;
            if (next == '\n') line++;
            nesting.Pass(next);
        }
        return false;
    }

    private async Task<int> ExpectAsync(byte[] expected, CancellationToken cancellationToken)
    {
        var next = await PeekAsync(cancellationToken).ConfigureAwait(false);
        if (next < 0) throw Broken("the array is cut off");
        start++;
        return expected.Contains((byte)next) ? next : throw Broken($"'{(char)next}' is not expected between the elements of an array");
    }

    /// <summary>Passes over white space.</summary>
    /// <returns>-1: the end of the file.</returns>
    private async Task<int> PeekAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            for (; start < end; start++)
            {
                if (buffer[start] is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')) return buffer[start];
                if (buffer[start] == '\n') line++;
            }
            scanned = start;
            if (!await FillAsync(cancellationToken).ConfigureAwait(false)) return -1;
        }
    }

    private bool DropIfTooLong()
    {
        if (scanned - start <= maxRow) return false;
        start = scanned;
        return true;
    }

    private async Task<bool> FillAsync(CancellationToken cancellationToken)
    {
        if (start > 0)
        {
            buffer.AsSpan(start..end).CopyTo(buffer);
            (scanned, end, start) = (scanned - start, end - start, 0);
        }
        if (end == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        var read = await stream.ReadAsync(buffer.AsMemory(end), cancellationToken).ConfigureAwait(false);
        end += read;
        return read > 0;
    }

    private InvalidDataException Broken(string what) => new($"line {line}: {what}");
}

/// <summary>How deep in brackets and whether in a string a position of a JSON text is.</summary>
internal struct JsonNesting
{
    private int depth;
    private bool inString;
    private bool isEscaped;

    /// <summary>Whether the value is over where this byte comes.</summary>
    public readonly bool EndsBefore(byte next) => depth <= 0 && !inString && (next is (byte)',' or (byte)']');

    public void Pass(byte next)
    {
        if (inString)
        {
            inString = isEscaped || next != '"';
            isEscaped = !isEscaped && next == '\\';
            return;
        }
        switch (next)
        {
            case (byte)'"':
                inString = true;
                break;
            case (byte)'{' or (byte)'[':
                depth++;
                break;
            case (byte)'}' or (byte)']':
                depth--;
                break;
        }
    }
}
