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
        foreach (var text in Texts(content))
            foreach (var match in PiiScanner.Find(text)) Count(match.Kind, line);
        if (kinds.Values.Sum(kind => kind.Count) == before) return content;
        rows++;
        return mode == PiiMode.Mask ? Mask(content) : content;
    }

    /// <summary>Text that is shown though its row is not kept.</summary>
    public string Show(string text) => mode == PiiMode.Mask ? MaskText(text) : text;

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

    private static IEnumerable<string> Texts(RowContent content)
    {
        foreach (var message in content.Messages)
        {
            yield return message.Content;
            if (message.ToolCalls is { } calls)
                foreach (var text in Texts(JsonElement.Parse(calls))) yield return text;
        }
        if (content.Tools is { } tools)
            foreach (var text in Texts(JsonElement.Parse(tools))) yield return text;
    }

    /// <summary>What JSON says, without its escapes: names, texts and numbers, also of JSON in a text, as the arguments of a call are.</summary>
    private static IEnumerable<string> Texts(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().SelectMany(member => Texts(member.Value).Prepend(member.Name)),
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Texts),
        JsonValueKind.String when Nested(value.GetString()!) is { } inner => Texts(inner),
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Number => [value.GetRawText()],
        _ => [],
    };

    /// <returns>The object or array that the text is; null: it is neither.</returns>
    private static JsonElement? Nested(string text) => text.AsSpan().TrimStart() is ['{' or '[', ..]
        && RowFields.Parse(text) is { ValueKind: JsonValueKind.Object or JsonValueKind.Array } inner ? inner : null;

    /// <summary>What was JSON has to stay JSON.</summary>
    private static string MaskText(string text) => Nested(text) is null ? PiiScanner.Mask(text) : MaskJson(text);

    private static string MaskJson(string json) =>
        Texts(JsonElement.Parse(json)).All(text => PiiScanner.Find(text).Count == 0) ? json : MaskNode(JsonNode.Parse(json))!.ToJsonString();

    private static JsonNode? MaskNode(JsonNode? node) => node switch
    {
        JsonObject members => MaskMembers(members),
        JsonArray items => new JsonArray([.. items.Select(MaskNode)]),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => JsonValue.Create(MaskText(value.GetValue<string>())),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => MaskNumber(value),
        null => null,
        _ => node.DeepClone(),
    };

    private static JsonObject MaskMembers(JsonObject members)
    {
        var masked = new JsonObject();
        foreach (var (key, value) in members)
        {
            var name = PiiScanner.Mask(key);
            for (var number = 2; masked.ContainsKey(name); number++) name = $"{PiiScanner.Mask(key)} {number}";
            masked[name] = MaskNode(value);
        }
        return masked;
    }

    /// <summary>A number that is masked becomes a text.</summary>
    private static JsonNode MaskNumber(JsonValue value)
    {
        var text = value.ToJsonString();
        return PiiScanner.Find(text).Count == 0 ? value.DeepClone() : JsonValue.Create(PiiScanner.Mask(text))!;
    }
}
