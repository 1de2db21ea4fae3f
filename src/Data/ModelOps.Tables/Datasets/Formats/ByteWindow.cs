namespace ModelOps.Tables.Datasets.Formats;

/// <summary>The part of a file in memory: one row and a read buffer.</summary>
/// <param name="maxRow">Bytes; a longer row is passed over and reported.</param>
internal sealed class ByteWindow(Stream stream, int maxRow)
{
    /// <summary>Of a row that is too long, this much is kept to show.</summary>
    private const int KeptBytes = 4096;

    private byte[] buffer = new byte[1 << 16];
    private byte[]? beginning;

    /// <summary>Where the row begins.</summary>
    public int Start { get; set; }

    /// <summary>Up to where it is looked at.</summary>
    public int Scanned { get; set; }

    public int End { get; private set; }

    /// <summary>Of the file, from 1.</summary>
    public long Line { get; set; } = 1;

    public byte this[int index] => buffer[index];

    public ReadOnlySpan<byte> Unscanned => buffer.AsSpan(Scanned, End - Scanned);

    /// <summary>Reads on; first drops what of the row is too long to be kept.</summary>
    /// <returns>Whether there was more.</returns>
    public async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        if (Scanned - Start > maxRow)
        {
            beginning ??= buffer.AsSpan(Start, Math.Min(KeptBytes, Scanned - Start)).ToArray();
            Start = Scanned;
        }
        if (Start > 0)
        {
            buffer.AsSpan(Start..End).CopyTo(buffer);
            (Scanned, End, Start) = (Scanned - Start, End - Start, 0);
        }
        if (End == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        var read = await stream.ReadAsync(buffer.AsMemory(End), cancellationToken).ConfigureAwait(false);
        End += read;
        return read > 0;
    }

    /// <summary>The row up to <see cref="Scanned"/>; the next one begins there.</summary>
    public RawRow Take(long line)
    {
        var row = buffer.AsMemory(Start..Scanned);
        var isTooLong = beginning is not null || row.Length > maxRow;
        var raw = beginning ?? (isTooLong ? row[..Math.Min(KeptBytes, row.Length)] : row);
        beginning = null;
        Start = Scanned;
        return RawRow.OfText(line, raw, isTooLong ? new RowFault($"longer than {Limit}") : null);
    }

    private string Limit => maxRow >= 1 << 20 ? $"{maxRow >> 20} MiB" : $"{maxRow} bytes";
}
