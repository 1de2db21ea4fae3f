using System.Text.Json;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Shapes;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// Decides on each row of a file: good, or bad with a reason. The first row that fits a known shape sets the shape of all, unless one is stated.
/// </summary>
/// <param name="format">
/// After a broken element of an array it is a guess where the next begins, so it ends the file; a broken line is one bad row.
/// </param>
internal sealed class RowJudge(SourceFormat format, IngestionPlan plan)
{
    private string? unknownKeys;

    public RowShape? Shape { get; private set; } = plan.Shape;

    public string ShapeReason { get; private set; } = "stated";

    /// <returns>What the row says, or what is wrong with it.</returns>
    /// <exception cref="InvalidDataException">An element of an array is no JSON.</exception>
    public (RowContent? Content, RowFault? Fault) Judge(RawRow row)
    {
        if (row.Fault is not null) return (null, row.Fault);
        try
        {
            using var document = JsonDocument.Parse(row.Json, RowFields.Strict);
            return Judge(document.RootElement, row.Line);
        }
        catch (JsonException e)
        {
            return (null, Explain(e, row));
        }
        catch (InvalidOperationException)
        {
            // The only way to hand out JSON text that is no Unicode.
            return (null, new("text with an unpaired surrogate", "\\ud800 to \\udfff"));
        }
    }

    /// <summary>What is wrong with a file of which no row had a known shape.</summary>
    public string ExplainNoShape(long rows) => unknownKeys is null
        ? $"none of the first {rows} rows is a JSON object; known are JSONL (a JSON object a line), a JSON array of objects, CSV, TSV, Parquet and plain text; state which with --format"
        : $"the shape of the rows is not known: they have the keys {unknownKeys}; known are {RowShape.Catalog}; "
            + "say which key is which with --map OWN=KNOWN";

    private RowFault Explain(JsonException e, RawRow row)
    {
        if (DuplicateIn(row.Json) is { } key) return new("has a key twice", key);
        if (format == SourceFormat.JsonArray) throw new InvalidDataException($"line {row.Line + (e.LineNumber ?? 0)}: not valid JSON: {Describe(e)}", e);
        return new("not valid JSON", Describe(e));
    }

    /// <summary>Without the position that the message ends with: it counts from 0, and its line is that of the row.</summary>
    internal static string Describe(JsonException e) =>
        $"{e.Message.Split(" LineNumber: ", 2)[0].TrimEnd('.')}, at byte {(e.BytePositionInLine ?? 0) + 1} of the line";

    private (RowContent? Content, RowFault? Fault) Judge(JsonElement row, long line)
    {
        if (row.ValueKind != JsonValueKind.Object) return (null, new("not an object", RowFields.Describe(row)));
        var fields = new RowFields(row, plan.Names);
        if (Shape is null && RowShape.Detect(fields) is { } shape) (Shape, ShapeReason) = (shape, $"{Unit} {line} has {shape.KeyList}");
        if (Shape is null)
        {
            unknownKeys ??= Keys(row);
            return (null, new("fits no known shape", $"keys {Keys(row)}"));
        }
        var content = Shape.Read(fields);
        if (content.Texts.Any(text => text.Contains('\0', StringComparison.Ordinal))) fields.Fail("text with a NUL character");
        return fields.Fault is { } fault ? (null, fault) : (content, null);
    }

    /// <returns>null: what is wrong with the JSON is something else.</returns>
    private static string? DuplicateIn(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var lenient = JsonDocument.Parse(json);
            return DuplicateOf(lenient.RootElement);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private string Unit => format == SourceFormat.Parquet ? "row" : "line";

    private static string? DuplicateOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().Select(DuplicateOf).FirstOrDefault(name => name is not null),
        JsonValueKind.Object => value.EnumerateObject().GroupBy(property => property.Name, StringComparer.Ordinal)
            .Where(group => group.Count() > 1).Select(group => $"'{RowFields.Short(group.Key)}'").FirstOrDefault()
            ?? value.EnumerateObject().Select(property => DuplicateOf(property.Value)).FirstOrDefault(name => name is not null),
        _ => null,
    };

    private static string Keys(JsonElement row)
    {
        const int Shown = 20;
        var keys = row.EnumerateObject().Select(property => property.Name).ToList();
        return keys.Count == 0 ? "(none)" : string.Join(", ", keys.Take(Shown).Select(RowFields.Short)) + (keys.Count > Shown ? ", …" : "");
    }
}
