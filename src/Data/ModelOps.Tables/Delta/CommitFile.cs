using System.Globalization;
using System.Text.Json;

namespace ModelOps.Tables.Delta;

/// <summary>A commit's bytes: one JSON action a line.</summary>
internal static class CommitFile
{
    public const string LogFolder = "_delta_log";

    public static string Name(long version) => $"{Prefix(version)}.json";

    /// <summary>What the names of a version's commit and checkpoints begin with.</summary>
    public static string Prefix(long version) => string.Create(CultureInfo.InvariantCulture, $"{version:D20}");

    /// <exception cref="DeltaException">The file is empty, or a line is torn or is no action.</exception>
    public static IReadOnlyList<LogLine> Parse(string name, ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty) throw new DeltaException($"{name} is empty: a commit has at least one action");
        var lines = new List<LogLine>();
        var number = 0;
        while (!bytes.IsEmpty)
        {
            number++;
            var end = bytes.Span.IndexOf((byte)'\n');
            var line = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? default : bytes[(end + 1)..];
            if (line.Span.IndexOfAnyExcept(" \t\r"u8) >= 0) lines.Add(ParseLine(name, number, line.Span));
        }
        return lines;
    }

    public static byte[] Render(IEnumerable<LogLine> lines)
    {
        using var stream = new MemoryStream();
        foreach (var line in lines)
        {
            JsonSerializer.Serialize(stream, line, DeltaJson.Default.LogLine);
            stream.WriteByte((byte)'\n');
        }
        return stream.ToArray();
    }

    /// <exception cref="DeltaException">It is no action.</exception>
    public static LogLine ParseLine(string name, int number, ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, DeltaJson.Default.LogLine)
                ?? throw new DeltaException($"{name} line {number}: null is no action");
        }
        catch (JsonException e)
        {
            throw new DeltaException($"{name} line {number} is torn or no action: {e.Message}", e);
        }
    }
}
