using System.Runtime.CompilerServices;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>The elements of the one array that a JSON file is.</summary>
internal static class JsonRows
{
    /// <exception cref="InvalidDataException">The file is no array, or is cut off.</exception>
    public static async IAsyncEnumerable<RawRow> ReadAsync(ByteWindow window, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (await PeekAsync(window, cancellationToken).ConfigureAwait(false) != '[')
            throw Broken(window, "the file does not begin with '['; a JSON file is one array of rows");
        window.Start++;
        if (await PeekAsync(window, cancellationToken).ConfigureAwait(false) == ']') window.Start++;
        else
        {
            do yield return await ElementAsync(window, cancellationToken).ConfigureAwait(false);
            while (await ExpectAsync(window, ",]"u8.ToArray(), cancellationToken).ConfigureAwait(false) == ',');
        }
        if (await PeekAsync(window, cancellationToken).ConfigureAwait(false) >= 0) throw Broken(window, "there is more after the end of the array");
    }

    private static async Task<RawRow> ElementAsync(ByteWindow window, CancellationToken cancellationToken)
    {
        await PeekAsync(window, cancellationToken).ConfigureAwait(false);
        var first = window.Line;
        var nesting = default(JsonNesting);
        window.Scanned = window.Start;
        while (!Scan(window, ref nesting))
        {
            if (!await window.FillAsync(cancellationToken).ConfigureAwait(false))
                throw Broken(window, $"the array is cut off: its element from line {first} on does not end");
        }
        var row = window.Take(first);
        return row.Fault is null && row.Raw.Span.IndexOfAnyExcept(" \t\r\n"u8) < 0
            ? throw Broken(window, "an element of the array is missing")
            : row;
    }

    /// <returns>Whether the element ends at <see cref="ByteWindow.Scanned"/>.</returns>
    private static bool Scan(ByteWindow window, ref JsonNesting nesting)
    {
        var bytes = window.Unscanned;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (nesting.EndsBefore(bytes[i]))
            {
                window.Scanned += i;
                return true;
            }
            if (bytes[i] == '\n') window.Line++;
            nesting.Pass(bytes[i]);
        }
        window.Scanned = window.End;
        return false;
    }

    private static async Task<int> ExpectAsync(ByteWindow window, byte[] expected, CancellationToken cancellationToken)
    {
        var next = await PeekAsync(window, cancellationToken).ConfigureAwait(false);
        if (next < 0) throw Broken(window, "the array is cut off");
        window.Start++;
        return expected.Contains((byte)next) ? next : throw Broken(window, $"'{(char)next}' is not expected between the elements of an array");
    }

    /// <summary>Passes over white space.</summary>
    /// <returns>-1: the end of the file.</returns>
    private static async Task<int> PeekAsync(ByteWindow window, CancellationToken cancellationToken)
    {
        while (true)
        {
            for (; window.Start < window.End; window.Start++)
            {
                var next = window[window.Start];
                if (next is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')) return next;
                if (next == '\n') window.Line++;
            }
            window.Scanned = window.Start;
            if (!await window.FillAsync(cancellationToken).ConfigureAwait(false)) return -1;
        }
    }

    private static InvalidDataException Broken(ByteWindow window, string what) => new($"line {window.Line}: {what}");
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
