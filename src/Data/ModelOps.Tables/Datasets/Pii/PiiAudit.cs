using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Tables.Datasets.Shapes;

namespace ModelOps.Tables.Datasets.Pii;

/// <summary>Counts what looks like personal data in the rows, and masks it if told to.</summary>
internal sealed class PiiAudit(PiiMode mode)
{
    private const int MaxLines = 20;

    private readonly SortedDictionary<string, (long Count, List<long> Lines)> kinds = new(StringComparer.Ordinal);
    private long rows;

    /// <returns>The row as it is to be kept.</returns>
    public RowContent Take(RowContent content, long line)
    {
        if (mode == PiiMode.Off) return content;
        var before = kinds.Values.Sum(kind => kind.Count);
        foreach (var text in content.Texts)
            foreach (var match in PiiScanner.Find(text)) Count(match.Kind, line);
        if (kinds.Values.Sum(kind => kind.Count) == before) return content;
        rows++;
        return mode == PiiMode.Mask ? Mask(content) : content;
    }

    /// <summary>Text that is shown though its row is not kept.</summary>
    public string Show(string text) => mode == PiiMode.Mask ? PiiScanner.Mask(text) : text;

    /// <returns>null: nothing was looked for.</returns>
    public PiiReport? Report() => mode == PiiMode.Off ? null : new()
    {
        Mode = mode.ToString().ToLowerInvariant(),
        Rows = rows,
        Kinds = [.. kinds.Select(kind => new PiiKind { Kind = kind.Key, Count = kind.Value.Count, Lines = kind.Value.Lines })],
    };

    private void Count(string kind, long line)
    {
        var (count, lines) = kinds.GetValueOrDefault(kind, (0, []));
        if (lines.Count < MaxLines && (lines.Count == 0 || lines[^1] != line)) lines.Add(line);
        kinds[kind] = (count + 1, lines);
    }

    private static RowContent Mask(RowContent content) => content.Map(Mask) with { Tools = content.Tools is { } tools ? MaskJson(tools) : null };

    private static RowMessage Mask(RowMessage message) => message with
    {
        Content = PiiScanner.Mask(message.Content),
        ToolCalls = message.ToolCalls is { } calls ? MaskJson(calls) : null,
    };

    private static string MaskJson(string json) => PiiScanner.Find(json).Count == 0 ? json : MaskNode(JsonNode.Parse(json))!.ToJsonString();

    /// <summary>A number that is masked becomes a text: what is left must be JSON.</summary>
    private static JsonNode? MaskNode(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.Select(member => KeyValuePair.Create(member.Key, MaskNode(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(MaskNode)]),
        JsonValue value when value.GetValueKind() is JsonValueKind.String or JsonValueKind.Number => MaskValue(value),
        null => null,
        _ => node.DeepClone(),
    };

    private static JsonNode MaskValue(JsonValue value)
    {
        var text = value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString();
        if (PiiScanner.Find(text).Count == 0) return value.DeepClone();
        // Arguments of a call are JSON in a text: they have to stay JSON.
        var isNested = value.GetValueKind() == JsonValueKind.String && RowFields.Parse(text) is { ValueKind: JsonValueKind.Object or JsonValueKind.Array };
        return JsonValue.Create(isNested ? MaskJson(text) : PiiScanner.Mask(text))!;
    }
}
