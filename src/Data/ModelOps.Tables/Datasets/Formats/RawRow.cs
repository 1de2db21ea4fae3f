using System.Text.Unicode;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>Why a row is bad.</summary>
/// <param name="Reason">One of few: bad rows are counted by it.</param>
/// <param name="Detail">Where in the row, or what was found.</param>
internal sealed record RowFault(string Reason, string? Detail = null)
{
    public override string ToString() => Detail is null ? Reason : $"{Reason} ({Detail})";
}

/// <summary>A row as the file has it. The memory is valid until the next row is asked for.</summary>
/// <param name="Line">On which the row begins, from 1; for Parquet the number of the row.</param>
/// <param name="Raw">What the file says; of a row that is too long, the beginning.</param>
/// <param name="Json">The row as a JSON value; not looked at when there is a fault.</param>
internal readonly record struct RawRow(long Line, ReadOnlyMemory<byte> Raw, ReadOnlyMemory<byte> Json, RowFault? Fault)
{
    /// <summary>A row of text, unless it is too long or no text.</summary>
    public static RawRow OfText(long line, ReadOnlyMemory<byte> raw, RowFault? fault) => new(line, raw, raw, fault ?? CheckText(raw.Span));

    private static RowFault? CheckText(ReadOnlySpan<byte> text)
    {
        if (text.IndexOf((byte)0) is >= 0 and var zero)
            return new("has a NUL byte", $"byte {zero + 1} of the row; the file may be damaged");
        if (Utf8.IsValid(text)) return null;
        var at = FirstInvalid(text);
        return new("not valid UTF-8", $"0x{text[at]:X2} at byte {at + 1} of the row; save the file as UTF-8");
    }

    private static int FirstInvalid(ReadOnlySpan<byte> text)
    {
        var at = 0;
        while (at < text.Length && System.Text.Rune.DecodeFromUtf8(text[at..], out _, out var length) == System.Buffers.OperationStatus.Done)
            at += length;
        return at;
    }
}
