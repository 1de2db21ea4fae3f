using System.Diagnostics.CodeAnalysis;

namespace ModelOps.Tables.Datasets;

/// <summary>How a file's rows are written, from its first bytes: names of files lie.</summary>
internal enum SourceFormat
{
    JsonLines,
    JsonArray,
}

/// <summary>A file in UTF-8 without its byte order mark, or why it is none.</summary>
internal abstract record SourceText
{
    private const int SniffedBytes = 8192;

    private SourceText()
    {
    }

    public sealed record Readable(Stream Stream, SourceFormat Format) : SourceText;

    public sealed record Unreadable(string Error) : SourceText;

    /// <param name="source">Stays the caller's; <see cref="Readable.Stream"/> does not close it.</param>
    /// <exception cref="InvalidDataException">The file begins like gzip but is broken.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the caller disposes the stream that it gets")]
    public static async Task<SourceText> OpenAsync(Stream source, string fileName, CancellationToken cancellationToken)
    {
        var head = await PeekAsync(source, cancellationToken).ConfigureAwait(false);
        if (!head.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B])) return Sniff(head, source, leaveOpen: true, fileName);
        var unpacked = new GzipText(new PrefixedStream(head, source, leaveOpen: true));
        return Sniff(await PeekAsync(unpacked, cancellationToken).ConfigureAwait(false), unpacked, leaveOpen: false, fileName);
    }

    private static SourceText Sniff(ReadOnlyMemory<byte> head, Stream rest, bool leaveOpen, string fileName)
    {
        if (head.IsEmpty) return new Unreadable($"{fileName} is empty");
        if (head.Span.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]) || head.Span.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF]))
            return new Unreadable($"{fileName} is UTF-16 text; save it as UTF-8");
        if (head.Span.Contains((byte)0) || head.Span.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD]))
            return new Unreadable($"{fileName} is a binary file; known are JSONL and a JSON array of rows, plain or gzip-compressed");
        if (head.Span.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) head = head[3..];
        var first = head.Span.IndexOfAnyExcept(" \t\r\n"u8);
        var format = first >= 0 && head.Span[first] == '[' ? SourceFormat.JsonArray : SourceFormat.JsonLines;
        return new Readable(new PrefixedStream(head, rest, leaveOpen), format);
    }

    private static async Task<byte[]> PeekAsync(Stream stream, CancellationToken cancellationToken)
    {
        var head = new byte[SniffedBytes];
        var length = await stream.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return head[..length];
    }
}
