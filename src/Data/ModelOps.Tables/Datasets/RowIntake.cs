using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// Decides on each row of a file: kept, double, or bad with a reason. The first row that fits a known shape sets the shape of all.
/// </summary>
/// <param name="format">
/// After a broken element of an array it is a guess where the next begins, so it ends the file; a broken line is one bad row.
/// </param>
internal sealed class RowIntake(SourceFormat format, SplitRows rows)
{
    /// <summary>Reasons that are kept.</summary>
    private const int MaxReasons = 20;
    private const int RowsToFindShape = 100;

    // 16 bytes of SHA-256: two different rows share them with a probability of 10^-24 in 10^7 rows. 32 bytes a row with the set's overhead.
    private readonly HashSet<UInt128> seen = [];
    private readonly List<string> reasons = [];
    private string? unknownKeys;

    public RowShape? Shape { get; private set; }

    public long Read { get; private set; }

    public long Duplicates { get; private set; }

    public long Rejected { get; private set; }

    public IReadOnlyList<string> Reasons => reasons;

    /// <summary>Whether enough rows were seen to say that the file has no rows that are known.</summary>
    public bool IsHopeless => Shape is null && Read >= RowsToFindShape;

    /// <exception cref="InvalidDataException">An element of an array is no JSON.</exception>
    public void Take(RawRow row)
    {
        Read++;
        if (Judge(row) is not { } reason) return;
        Rejected++;
        if (reasons.Count < MaxReasons) reasons.Add($"line {row.Line}: {reason}");
    }

    /// <summary>What is wrong with a file of which no row had a known shape.</summary>
    public IReadOnlyList<string> ExplainNoShape() => unknownKeys is null
        ? [$"none of the first {Read} rows is a JSON object; known are JSONL and a JSON array of rows", .. reasons]
        : [$"the shape of the rows is not known: they have the keys {unknownKeys}; known are {RowShape.Catalog}"];

    private string? Judge(RawRow row)
    {
        if (row.IsTooLong) return $"longer than {DatasetIngestion.MaxRowBytes >> 20} MiB";
        if (!Utf8.IsValid(row.Json.Span)) return "not valid UTF-8";
        try
        {
            using var document = JsonDocument.Parse(row.Json);
            return Judge(document.RootElement, row.Line);
        }
        catch (JsonException e) when (format == SourceFormat.JsonArray)
        {
            throw new InvalidDataException($"line {row.Line}: not valid JSON: {e.Message}", e);
        }
        catch (JsonException e)
        {
            return $"not valid JSON: {e.Message}";
        }
        catch (InvalidOperationException)
        {
            // The only way to hand out JSON text that is no Unicode.
            return "text with an unpaired surrogate (\\ud800 to \\udfff)";
        }
    }

    private string? Judge(JsonElement row, long line)
    {
        if (row.ValueKind != JsonValueKind.Object) return $"{RowContent.Describe(row)}, not an object";
        Shape ??= RowShape.Detect(row);
        if (Shape is null)
        {
            unknownKeys ??= Keys(row);
            return $"the keys {Keys(row)} fit no known shape";
        }
        var content = new RowContent();
        Shape.Read(row, content);
        if (!content.Messages.Any(message => message.Role == "assistant")) content.Fail("has nothing that the assistant says");
        if (content.Reason is null) Keep(content.Messages, line);
        return content.Reason;
    }

    private void Keep(IReadOnlyList<RowMessage> messages, long line)
    {
        var id = RowId.Compute(messages);
        if (seen.Add(BinaryPrimitives.ReadUInt128BigEndian(id))) rows.Add(new(Convert.ToHexStringLower(id), messages, line), id);
        else Duplicates++;
    }

    private static string Keys(JsonElement row)
    {
        const int Shown = 20;
        const int Length = 40;
        var keys = row.EnumerateObject().Select(property => property.Name).ToList();
        var shown = keys.Take(Shown).Select(key => key.Length <= Length ? key : $"{key[..Length]}…");
        return keys.Count == 0 ? "(none)" : string.Join(", ", shown) + (keys.Count > Shown ? ", …" : "");
    }
}
