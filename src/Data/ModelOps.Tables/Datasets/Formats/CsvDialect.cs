namespace ModelOps.Tables.Datasets.Formats;

/// <summary>How a CSV file is written.</summary>
/// <param name="KnownNames">Names that a column can have to be of use.</param>
internal sealed record CsvDialect(byte Delimiter, bool HasHeader, IReadOnlyCollection<string> KnownNames)
{
    private const int RecordsLookedAt = 20;
    private static readonly byte[] delimiters = [(byte)',', (byte)'\t', (byte)';', (byte)'|'];

    public string DelimiterName => Delimiter == '\t' ? "tab" : $"'{(char)Delimiter}'";

    /// <summary>
    /// The delimiter that finds most known names in the first record, then the one that cuts all records into equally many fields. The first
    /// record is a header when it has a known name.
    /// </summary>
    /// <param name="head">The beginning of the file.</param>
    /// <param name="delimiter">null: to be found out.</param>
    public static CsvDialect Detect(ReadOnlySpan<byte> head, byte? delimiter, IReadOnlyCollection<string> knownNames)
    {
        var best = (Known: -1, Columns: -1, Delimiter: delimiters[0]);
        foreach (var candidate in delimiter is { } stated ? [stated] : delimiters)
        {
            var (known, columns) = Score(head, candidate, knownNames);
            if (known > best.Known || (known == best.Known && columns > best.Columns)) best = (known, columns, candidate);
        }
        return new(best.Delimiter, best.Known > 0, knownNames);
    }

    /// <exception cref="InvalidDataException">A column is named twice.</exception>
    public IReadOnlyList<string> NameColumns(List<string> header, long line)
    {
        var names = header.Select((name, index) => Canonical(name) is { Length: > 0 } known ? known : $"{CsvRows.ColumnPrefix}{index + 1}").ToList();
        var twice = names.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1);
        return twice is null
            ? names
            : throw new InvalidDataException($"line {line}: the header names the column '{twice.Key}' twice; rename one");
    }

    private string Canonical(string name)
    {
        name = name.Trim();
        return KnownNames.Contains(name, StringComparer.Ordinal)
            ? name
            : KnownNames.FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? name;
    }

    /// <returns>Known names in the first record; fields of every record, 0 where they differ.</returns>
    private static (int Known, int Columns) Score(ReadOnlySpan<byte> head, byte delimiter, IReadOnlyCollection<string> knownNames)
    {
        var (known, columns) = (0, -1);
        var fields = new List<string>();
        for (var record = 0; record < RecordsLookedAt && !head.IsEmpty; record++)
        {
            var end = EndOfRecord(head, delimiter);
            if (end < 0 && record > 0) break; // cut off by the end of the head
            CsvRows.Split(end < 0 ? head : head[..end], delimiter, fields);
            if (record == 0) known = fields.Count(field => knownNames.Contains(field.Trim(), StringComparer.OrdinalIgnoreCase));
            columns = columns < 0 || columns == fields.Count ? fields.Count : 0;
            head = end < 0 ? [] : head[(end + 1)..];
        }
        return (known, columns);
    }

    private static int EndOfRecord(ReadOnlySpan<byte> head, byte delimiter)
    {
        var quoting = new CsvQuoting(delimiter);
        for (var i = 0; i < head.Length; i++)
        {
            if (quoting.EndsBefore(head[i])) return i;
            quoting.Pass(head[i]);
        }
        return -1;
    }
}
