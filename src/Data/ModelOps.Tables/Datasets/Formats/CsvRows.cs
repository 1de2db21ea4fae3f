using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>The records of a CSV file (RFC 4180, quoted newlines included) as JSON objects of texts, named by the header.</summary>
internal static class CsvRows
{
    /// <summary>Names of the columns of a file without header: column1, column2, …</summary>
    public const string ColumnPrefix = "column";

    /// <exception cref="InvalidDataException">The header names a column twice.</exception>
    public static async IAsyncEnumerable<RawRow> ReadAsync(
        ByteWindow window, CsvDialect dialect, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IReadOnlyList<string>? names = null;
        var fields = new List<string>();
        using var writer = new RowWriter();
        await foreach (var record in RecordsAsync(window, dialect.Delimiter, cancellationToken).ConfigureAwait(false))
        {
            var fault = record.Fault ?? Split(record.Raw.Span, dialect.Delimiter, fields);
            if (names is null && dialect.HasHeader)
            {
                if (fault is not null) throw new InvalidDataException($"line {record.Line}: the header is {fault}");
                names = dialect.NameColumns(fields, record.Line);
                continue;
            }
            names ??= [.. Enumerable.Range(1, fields.Count).Select(number => $"{ColumnPrefix}{number}")];
            if (fault is null && fields.Count != names.Count)
                fault = new("has another number of fields", $"{fields.Count} instead of {names.Count}");
            yield return fault is null
                ? record with { Json = writer.Write(json => WriteFields(json, names, fields)) }
                : record with { Fault = fault };
        }
    }

    /// <returns>What is wrong with the record; its fields so far are in <paramref name="fields"/>.</returns>
    public static RowFault? Split(ReadOnlySpan<byte> record, byte delimiter, List<string> fields)
    {
        fields.Clear();
        record = record.TrimEnd((byte)'\r');
        while (true)
        {
            if (record.IsEmpty || record[0] != '"')
            {
                var end = record.IndexOf(delimiter);
                fields.Add(Encoding.UTF8.GetString(end < 0 ? record : record[..end]));
                if (end < 0) return null;
                record = record[(end + 1)..];
                continue;
            }
            if (Quoted(ref record, fields) is { } fault) return fault;
            if (record.IsEmpty) return null;
            if (record[0] != delimiter) return new("has text after a closing quote", $"field {fields.Count}; write a quote in a quoted field twice");
            record = record[1..];
        }
    }

    private static RowFault? Quoted(ref ReadOnlySpan<byte> record, List<string> fields)
    {
        var text = new StringBuilder();
        record = record[1..];
        while (record.IndexOf((byte)'"') is >= 0 and var quote)
        {
            text.Append(Encoding.UTF8.GetString(record[..quote]));
            record = record[(quote + 1)..];
            if (record.IsEmpty || record[0] != '"')
            {
                fields.Add(text.ToString());
                return null;
            }
            text.Append('"');
            record = record[1..];
        }
        return new("has a quoted field without an end", $"field {fields.Count + 1}");
    }

    private static async IAsyncEnumerable<RawRow> RecordsAsync(
        ByteWindow window, byte delimiter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var first = window.Line;
            var quoting = new CsvQuoting(delimiter);
            bool ended;
            while (!(ended = Scan(window, ref quoting)) && await window.FillAsync(cancellationToken).ConfigureAwait(false))
            {
            }
            var row = window.Take(first);
            if (row.Fault is not null || row.Raw.Span.IndexOfAnyExcept(" \r"u8) >= 0) yield return row;
            if (!ended) yield break;
            window.Start = ++window.Scanned;
            window.Line++;
        }
    }

    /// <returns>Whether the record ends at <see cref="ByteWindow.Scanned"/>.</returns>
    private static bool Scan(ByteWindow window, ref CsvQuoting quoting)
    {
        var bytes = window.Unscanned;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (quoting.EndsBefore(bytes[i]))
            {
                window.Scanned += i;
                return true;
            }
            if (bytes[i] == '\n') window.Line++;
            quoting.Pass(bytes[i]);
        }
        window.Scanned = window.End;
        return false;
    }

    private static void WriteFields(Utf8JsonWriter json, IReadOnlyList<string> names, List<string> fields)
    {
        for (var i = 0; i < names.Count; i++) json.WriteString(names[i], fields[i]);
    }
}

/// <summary>Whether a position of a CSV text is in quotes: only at the beginning of a field does a quote open.</summary>
[StructLayout(LayoutKind.Auto)]
internal struct CsvQuoting(byte delimiter)
{
    private State state;

    private enum State
    {
        FieldStart,
        Unquoted,
        Quoted,
        QuoteSeen,
    }

    public readonly bool EndsBefore(byte next) => next == '\n' && state != State.Quoted;

    public void Pass(byte next) => state = state switch
    {
        State.Quoted => next == '"' ? State.QuoteSeen : State.Quoted,
        State.FieldStart or State.QuoteSeen when next == '"' => State.Quoted,
        _ when next == delimiter => State.FieldStart,
        _ => State.Unquoted,
    };
}
