using System.Runtime.InteropServices;

namespace ModelOps.Tables.Datasets.Reports;

/// <summary>Gathers the statistics of rows that pass by.</summary>
/// <param name="countTokens">null: tokens are not counted.</param>
internal sealed class StatisticsBuilder(Func<string, int>? countTokens)
{
    private const int LongestRows = 5;

    private readonly SortedDictionary<string, long> roles = new(StringComparer.Ordinal);
    private readonly PriorityQueue<LongRow, (long Length, long Line)> longest = new();
    private readonly ScriptCounter scripts = new();
    private readonly SpreadBuilder turns = new();
    private readonly SpreadBuilder characters = new();
    private readonly SpreadBuilder tokens = new();
    private long withTools;

    public void Add(RowContent content, long line)
    {
        var (messages, length, tokenCount, usesTools) = (0, 0L, 0L, content.Tools is not null);
        foreach (var message in content.Messages)
        {
            roles[message.Role] = roles.GetValueOrDefault(message.Role) + 1;
            usesTools |= message.ToolCalls is not null;
            messages++;
        }
        foreach (var text in content.Texts)
        {
            length += text.Length;
            tokenCount += countTokens?.Invoke(text) ?? 0;
            scripts.Add(text);
        }
        turns.Add(messages);
        characters.Add(length);
        if (countTokens is not null) tokens.Add(tokenCount);
        if (usesTools) withTools++;
        longest.Enqueue(
            new() { Line = line, Characters = length, Tokens = countTokens is null ? null : tokenCount }, (countTokens is null ? length : tokenCount, -line));
        if (longest.Count > LongestRows) longest.Dequeue();
    }

    public RowStatistics Build() => new()
    {
        MessagesByRole = roles,
        Turns = turns.Build(),
        Characters = characters.Build(),
        Tokens = countTokens is null ? null : tokens.Build(),
        RowsWithTools = withTools,
        LongestRows = [.. longest.UnorderedItems.Select(item => item.Element).OrderByDescending(row => row.Tokens ?? row.Characters).ThenBy(row => row.Line)],
        Scripts = scripts.Build(),
    };
}

/// <summary>
/// Counts each value that there is: rows of n different lengths are n²/2 long together, so that a file of 2 GB has some 60,000 of them at most.
/// </summary>
internal sealed class SpreadBuilder
{
    private readonly Dictionary<long, long> counts = [];

    public void Add(long value) => CollectionsMarshal.GetValueRefOrAddDefault(counts, value, out _)++;

    public Spread Build()
    {
        if (counts.Count == 0) return new() { Total = 0, Least = 0, Mean = 0, Most = 0 };
        var values = counts.OrderBy(value => value.Key).ToList();
        var (rows, total) = (counts.Values.Sum(), counts.Sum(value => value.Key * value.Value));
        return new()
        {
            Total = total,
            Least = values[0].Key,
            Mean = Math.Round((double)total / rows, 1),
            P50 = Percentile(values, rows, 50),
            P95 = Percentile(values, rows, 95),
            Most = values[^1].Key,
        };
    }

    /// <summary>By nearest rank: the least value that so many of a hundred rows do not exceed.</summary>
    private static long Percentile(List<KeyValuePair<long, long>> values, long rows, int percent)
    {
        var rest = (rows * percent + 99) / 100;
        return values.First(value => (rest -= value.Value) <= 0).Key;
    }
}

/// <summary>Counts letters by script, from the blocks of the Unicode standard; what has no name here is 'Other'.</summary>
internal sealed class ScriptCounter
{
    private static readonly (int First, int Last, string Script)[] blocks =
    [
        (0x0041, 0x024F, "Latin"), (0x0370, 0x03FF, "Greek"), (0x0400, 0x052F, "Cyrillic"), (0x0530, 0x058F, "Armenian"),
        (0x0590, 0x05FF, "Hebrew"), (0x0600, 0x06FF, "Arabic"), (0x0750, 0x077F, "Arabic"), (0x0900, 0x097F, "Devanagari"),
        (0x0980, 0x09FF, "Bengali"), (0x0A00, 0x0A7F, "Gurmukhi"), (0x0A80, 0x0AFF, "Gujarati"), (0x0B80, 0x0BFF, "Tamil"),
        (0x0C00, 0x0C7F, "Telugu"), (0x0C80, 0x0CFF, "Kannada"), (0x0D00, 0x0D7F, "Malayalam"), (0x0D80, 0x0DFF, "Sinhala"),
        (0x0E00, 0x0E7F, "Thai"), (0x0E80, 0x0EFF, "Lao"), (0x1000, 0x109F, "Myanmar"), (0x10A0, 0x10FF, "Georgian"),
        (0x1100, 0x11FF, "Hangul"), (0x1200, 0x137F, "Ethiopic"), (0x1780, 0x17FF, "Khmer"), (0x1E00, 0x1EFF, "Latin"),
        (0x1F00, 0x1FFF, "Greek"), (0x3040, 0x309F, "Hiragana"), (0x30A0, 0x30FF, "Katakana"), (0x3400, 0x4DBF, "Han"),
        (0x4E00, 0x9FFF, "Han"), (0xAC00, 0xD7AF, "Hangul"), (0xF900, 0xFAFF, "Han"), (0xFF21, 0xFF5A, "Latin"), (0xFF66, 0xFF9D, "Katakana"),
        (0x20000, 0x3FFFF, "Han"),
    ];

    private readonly long[] letters = new long[blocks.Length + 1];

    public void Add(string text)
    {
        var rest = text.AsSpan();
        while (!rest.IsEmpty)
        {
            var ascii = rest.IndexOfAnyExceptInRange('\0', '\x7F');
            var latin = 0L;
            foreach (var next in ascii < 0 ? rest : rest[..ascii])
                latin += (uint)((next | 0x20) - 'a') < 26 ? 1 : 0; // most text is this; without a branch
            letters[0] += latin;
            if (ascii < 0) return;
            System.Text.Rune.DecodeFromUtf16(rest[ascii..], out var rune, out var length);
            if (System.Text.Rune.IsLetter(rune)) letters[IndexOf(rune.Value)]++;
            rest = rest[(ascii + length)..];
        }
    }

    public IReadOnlyDictionary<string, long> Build() => letters
        .Select((count, index) => (Script: index < blocks.Length ? blocks[index].Script : "Other", Count: count))
        .GroupBy(block => block.Script, block => block.Count, StringComparer.Ordinal)
        .Select(script => (script.Key, Count: script.Sum()))
        .Where(script => script.Count > 0)
        .OrderByDescending(script => script.Count)
        .ToDictionary(script => script.Key, script => script.Count, StringComparer.Ordinal);

    private static int IndexOf(int letter)
    {
        var (low, high) = (0, blocks.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (letter < blocks[middle].First) high = middle - 1;
            else if (letter > blocks[middle].Last) low = middle + 1;
            else return middle;
        }
        return blocks.Length;
    }
}
