using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Datasets;

/// <summary>What rows are for, and so how a table of them looks.</summary>
public sealed class DatasetTask
{
    internal static readonly StructType MessageType = new(
    [
        new Field("role", StringType.Default, nullable: false),
        new Field("content", StringType.Default, nullable: false),
        new Field("tool_calls", StringType.Default, nullable: true),
        new Field("tool_call_id", StringType.Default, nullable: true),
        new Field("name", StringType.Default, nullable: true),
    ]);

    internal static readonly ListType MessagesType = new(new Field("element", MessageType, nullable: false));

    private DatasetTask(string name, IReadOnlyList<string> parts, bool hasLabel = false, bool isText = false)
    {
        (Name, Parts, HasLabel, IsText) = (name, parts, hasLabel, isText);
        var fields = new List<Field> { new("id", StringType.Default, nullable: false) };
        fields.AddRange(parts.Select(part => new Field(part, isText ? StringType.Default : MessagesType, nullable: false)));
        if (hasLabel) fields.Add(new("label", BooleanType.Default, nullable: false));
        if (!isText) fields.Add(new("tools", StringType.Default, nullable: true));
        fields.Add(new("source_line", Int64Type.Default, nullable: false));
        Schema = new(fields, metadata: null);
    }

    /// <summary>Conversations to learn the assistant's part of.</summary>
    public static DatasetTask Sft { get; } = new("sft", ["messages"]);

    /// <summary>A prompt with a better and a worse answer.</summary>
    public static DatasetTask Preference { get; } = new("preference", ["prompt", "chosen", "rejected"]);

    /// <summary>A prompt with an answer that is desired or is not.</summary>
    public static DatasetTask Kto { get; } = new("kto", ["prompt", "completion"], hasLabel: true);

    /// <summary>Running text.</summary>
    public static DatasetTask Text { get; } = new("text", ["text"], isText: true);

    public static IReadOnlyList<DatasetTask> All { get; } = [Sft, Preference, Kto, Text];

    public string Name { get; }

    /// <summary>The columns that hold what rows say.</summary>
    public IReadOnlyList<string> Parts { get; }

    public bool HasLabel { get; }

    /// <summary>Whether the part is a text, not messages.</summary>
    public bool IsText { get; }

    internal Schema Schema { get; }

    public override string ToString() => Name;
}
