using System.Text;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>How a file's rows are written.</summary>
internal enum SourceFormat
{
    JsonLines,
    JsonArray,
    Csv,
    Tsv,
    Parquet,
    Text,
}

internal static class SourceFormats
{
    private static readonly (string Name, SourceFormat Format)[] named =
    [
        ("jsonl", SourceFormat.JsonLines), ("json", SourceFormat.JsonArray), ("csv", SourceFormat.Csv), ("tsv", SourceFormat.Tsv),
        ("parquet", SourceFormat.Parquet), ("text", SourceFormat.Text),
    ];

    public static IReadOnlyList<string> Names { get; } = [.. named.Select(entry => entry.Name)];

    public static SourceFormat Parse(string name) => named.Single(entry => entry.Name == name).Format;

    public static string NameOf(SourceFormat format) => named.Single(entry => entry.Format == format).Name;

    /// <summary>
    /// What the content says counts more than the name, for names lie; text that says nothing of itself is what its name says, or a table if its
    /// first line names columns that are known, or plain text.
    /// </summary>
    /// <param name="head">The beginning of the text.</param>
    public static (SourceFormat Format, string Reason) Detect(ReadOnlySpan<byte> head, string fileName, IReadOnlyCollection<string> knownNames)
    {
        var first = head.IndexOfAnyExcept(" \t\r\n"u8);
        if (first >= 0 && head[first] == '{') return (SourceFormat.JsonLines, "the file begins with '{'");
        if (first >= 0 && BeginsArray(head[(first + 1)..], head[first])) return (SourceFormat.JsonArray, "the file begins with '['");
        if (OfName(fileName) is { } stated) return (stated, "the name of the file says so");
        var dialect = CsvDialect.Detect(head, delimiter: null, knownNames);
        return dialect.HasHeader
            ? (dialect.Delimiter == '\t' ? SourceFormat.Tsv : SourceFormat.Csv, "the first line names columns that are known")
            : (SourceFormat.Text, "it is neither JSON nor a table with known columns");
    }

    private static bool BeginsArray(ReadOnlySpan<byte> rest, byte first)
    {
        if (first != '[') return false;
        var next = rest.IndexOfAnyExcept(" \t\r\n"u8);
        return next < 0 || rest[next] is (byte)'{' or (byte)']' or (byte)'[' or (byte)'"';
    }

    private static SourceFormat? OfName(string fileName)
    {
        var name = fileName.ToLowerInvariant();
        if (name.EndsWith(".gz", StringComparison.Ordinal) || name.EndsWith(".zst", StringComparison.Ordinal)) name = Path.GetFileNameWithoutExtension(name);
        return Path.GetExtension(name) switch
        {
            ".jsonl" or ".ndjson" => SourceFormat.JsonLines,
            ".json" => SourceFormat.JsonArray,
            ".csv" => SourceFormat.Csv,
            ".tsv" => SourceFormat.Tsv,
            ".txt" or ".text" or ".md" => SourceFormat.Text,
            _ => null,
        };
    }
}

/// <summary>Kinds of files that are no rows, by their first bytes.</summary>
internal static class ForeignFiles
{
    private static readonly (byte[] Magic, string What)[] known =
    [
        ("PK\u0003\u0004"u8.ToArray(), "a zip archive or an Office document; unpack it, or export the sheet as CSV"),
        ([(byte)'7', (byte)'z', 0xBC, 0xAF], "a 7z archive; unpack it"),
        ("BZh"u8.ToArray(), "a bzip2 file; unpack it, or pack it with gzip or zstd"),
        ([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "an xz file; unpack it, or pack it with gzip or zstd"),
        ("%PDF"u8.ToArray(), "a PDF document; export its text"),
        ("ARROW1"u8.ToArray(), "an Arrow file; write it as Parquet"),
        ("SQLite format 3"u8.ToArray(), "an SQLite database; export the table as CSV"),
        ([0x7F, (byte)'E', (byte)'L', (byte)'F'], "a program; give a file of rows"),
    ];

    /// <returns>null: nothing speaks against its being text.</returns>
    public static string? Describe(ReadOnlySpan<byte> head)
    {
        foreach (var (magic, what) in known)
            if (head.StartsWith(magic)) return $"is a binary file, {what}";
        if (head.StartsWith(Encoding.UTF32.Preamble)) return "is UTF-32 text; save it as UTF-8";
        if (LooksLikeUtf16(head)) return "looks like UTF-16 text without a byte order mark; save it as UTF-8";
        return IsBinary(head) ? "is a binary file; known are JSONL, JSON, CSV, TSV, Parquet and plain text, each also packed with gzip or zstd" : null;
    }

    private static bool LooksLikeUtf16(ReadOnlySpan<byte> head)
    {
        if (head.Length < 4) return false;
        var (even, odd) = (0, 0);
        for (var i = 0; i + 1 < head.Length; i += 2)
        {
            if (head[i] == 0) even++;
            if (head[i + 1] == 0) odd++;
        }
        var pairs = head.Length / 2;
        return (even > pairs * 0.7 && odd == 0) || (odd > pairs * 0.7 && even == 0);
    }

    /// <summary>Text has hardly any control characters; a stray one is a matter of its row.</summary>
    private static bool IsBinary(ReadOnlySpan<byte> head)
    {
        const double MostControls = 0.02;
        var controls = 0;
        foreach (var next in head)
            if (next is < 0x20 and not ((byte)'\t' or (byte)'\n' or (byte)'\r' or 0x0C or 0x1B)) controls++;
        return controls > 1 && controls > head.Length * MostControls;
    }
}
