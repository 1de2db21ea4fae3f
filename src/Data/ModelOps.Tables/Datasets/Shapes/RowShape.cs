namespace ModelOps.Tables.Datasets.Shapes;

/// <summary>A way in which files write rows.</summary>
/// <param name="Keys">That a row of this shape must have; of names with '|' one.</param>
/// <param name="Optional">Further keys that it can have.</param>
internal sealed record RowShape(
    string Name, DatasetTask Task, IReadOnlyList<string> Keys, IReadOnlyList<string> Optional, Func<RowFields, RowContent> Read)
{
    /// <summary>The first that fits a row is its shape: those that ask for more stand before those that ask for less.</summary>
    public static IReadOnlyList<RowShape> Known { get; } =
    [
        new("preference", DatasetTask.Preference, ["chosen", "rejected"], ["prompt", "messages", "conversations", "instruction", "input", "question", "system", "tools"], PreferenceShapes.ReadPair),
        new("kto", DatasetTask.Kto, ["label|kto_tag", "completion|messages|conversations"], ["prompt", "system", "tools"], PreferenceShapes.ReadLabelled),
        new("chat", DatasetTask.Sft, ["messages"], ["tools"], SftShapes.ReadChat),
        new("sharegpt", DatasetTask.Sft, ["conversations"], ["system", "tools"], SftShapes.ReadShareGpt),
        new("alpaca", DatasetTask.Sft, ["instruction", "output"], ["input", "system", "history"], SftShapes.ReadAlpaca),
        new("prompt-completion", DatasetTask.Sft, ["prompt", "completion"], ["system"], fields => SftShapes.ReadPair(fields, "prompt", "completion")),
        new("question-answer", DatasetTask.Sft, ["question", "answer"], ["system"], fields => SftShapes.ReadPair(fields, "question", "answer")),
        new("text", DatasetTask.Text, ["text"], [], fields => new([[new("text", fields.Required("text"))]])),
    ];

    public static IReadOnlyList<string> Names { get; } = [.. Known.Select(shape => shape.Name)];

    /// <summary>Every name that a shape knows.</summary>
    public static IReadOnlyList<string> KnownKeys { get; } =
        [.. Known.SelectMany(shape => shape.Keys.SelectMany(key => key.Split('|')).Concat(shape.Optional)).Distinct(StringComparer.Ordinal)];

    public static string Catalog { get; } = string.Join(", ", Known.Select(shape => $"{shape.Name} ({shape.KeyList})"));

    public string KeyList => string.Join(", ", Keys.Select(key => key.Replace("|", " or ", StringComparison.Ordinal)));

    /// <returns>null: none fits.</returns>
    public static RowShape? Detect(RowFields row) => Known.FirstOrDefault(shape => shape.Fits(row));

    /// <summary>A label that is no flag is a class of something else.</summary>
    private bool Fits(RowFields row) => Keys.All(key => key.Split('|').Any(row.Has))
        && (!Task.HasLabel || row.IsFlag("label") || row.IsFlag("kto_tag"));
}
