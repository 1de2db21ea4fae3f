using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>An opened file, or why it is none that has rows.</summary>
internal abstract record SourceFile
{
    private const int SniffedBytes = 1 << 16;

    private SourceFile()
    {
    }

    /// <param name="Stream">Unpacked, and in UTF-8 without its byte order mark unless it is Parquet; disposing it leaves the source open.</param>
    /// <param name="Head">The beginning of <paramref name="Stream"/>, which has it still.</param>
    /// <param name="Reason">Why it is taken for this format.</param>
    /// <param name="Compression">gzip or zstd.</param>
    public sealed record Readable(
        Stream Stream, ReadOnlyMemory<byte> Head, SourceFormat Format, string Reason, string? Compression, string Encoding) : SourceFile;

    public sealed record Unreadable(string Error) : SourceFile;

    /// <param name="source">Stays the caller's.</param>
    /// <param name="stated">null: to be found out.</param>
    /// <param name="knownNames">Names that a column of a table can have to be of use.</param>
    /// <exception cref="InvalidDataException">The file begins like a packed one but is broken.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the caller disposes the stream that it gets")]
    public static async Task<SourceFile> OpenAsync(
        Stream source, string fileName, SourceFormat? stated, IReadOnlyCollection<string> knownNames, CancellationToken cancellationToken)
    {
        var head = await PeekAsync(source, cancellationToken).ConfigureAwait(false);
        var stream = new PrefixedStream(head, source, leaveOpen: true);
        var compression = CompressionOf(head.Span);
        if (compression is not null)
        {
            Stream unpacked = compression == "gzip" ? new GzipText(stream) : new ZstdText(stream);
            head = await PeekAsync(unpacked, cancellationToken).ConfigureAwait(false);
            stream = new PrefixedStream(head, unpacked, leaveOpen: false);
        }
        if (head.IsEmpty) return new Unreadable($"{fileName} is empty: it has 0 bytes{(compression is null ? "" : " when unpacked")}");
        if (CompressionOf(head.Span) is { } twice) return new Unreadable($"{fileName} is packed twice, the second time with {twice}; unpack it first");
        if (head.Span.StartsWith("PAR1"u8)) return new Readable(stream, head, SourceFormat.Parquet, "the file begins with 'PAR1'", compression, "binary");
        if (stated == SourceFormat.Parquet) return new Unreadable($"{fileName} is no Parquet file: it does not begin with 'PAR1'");
        var encoding = "UTF-8";
        if (Utf16Of(head.Span) is { } bigEndian)
        {
            encoding = bigEndian ? "UTF-16BE" : "UTF-16LE";
            var text = new Utf16Text(stream, bigEndian);
            head = await PeekAsync(text, cancellationToken).ConfigureAwait(false);
            stream = new PrefixedStream(head, text, leaveOpen: false);
        }
        if (ForeignFiles.Describe(head.Span) is { } foreign) return new Unreadable($"{fileName} {foreign}");
        if (head.Span.StartsWith(Encoding.UTF8.Preamble))
        {
            stream.Skip(Encoding.UTF8.Preamble.Length);
            head = head[Encoding.UTF8.Preamble.Length..];
        }
        if (head.IsEmpty) return new Unreadable($"{fileName} is empty: it has a byte order mark and nothing else");
        var (format, reason) = stated is { } known ? (known, "stated") : SourceFormats.Detect(head.Span, fileName, knownNames);
        return new Readable(stream, head, format, reason, compression, encoding);
    }

    private static string? CompressionOf(ReadOnlySpan<byte> head) =>
        head.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]) ? "gzip"
        : head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD]) ? "zstd"
        : null;

    /// <returns>Whether it is big-endian; null: it is not UTF-16 with a byte order mark.</returns>
    private static bool? Utf16Of(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith(Encoding.BigEndianUnicode.Preamble)) return true;
        return head.StartsWith(Encoding.Unicode.Preamble) && !head.StartsWith(Encoding.UTF32.Preamble) ? false : null;
    }

    private static async Task<ReadOnlyMemory<byte>> PeekAsync(Stream stream, CancellationToken cancellationToken)
    {
        var head = new byte[SniffedBytes];
        var length = await stream.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return head.AsMemory(..length);
    }
}
