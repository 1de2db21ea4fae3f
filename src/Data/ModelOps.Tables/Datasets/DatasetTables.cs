using System.Text.RegularExpressions;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Datasets;

/// <summary>Where a dataset's rows lie, and as what.</summary>
internal static partial class DatasetTables
{
    public const string Train = "train";
    public const string Validation = "validation";
    public const string Test = "test";

    public static IReadOnlyList<string> Splits { get; } = [Train, Validation, Test];

    public static StructType Message { get; } =
        new([new Field("role", StringType.Default, nullable: false), new Field("content", StringType.Default, nullable: false)]);

    public static Schema Schema { get; } = new(
        [
            new Field("id", StringType.Default, nullable: false),
            new Field("messages", new ListType(new Field("element", Message, nullable: false)), nullable: false),
            new Field("source_line", Int64Type.Default, nullable: false),
        ],
        metadata: null);

    /// <exception cref="ArgumentException">The name of the dataset or of the split is not valid.</exception>
    public static string Path(string dataset, string split)
    {
        ThrowUnlessValid(dataset);
        return Splits.Contains(split, StringComparer.Ordinal)
            ? $"datasets/{dataset}/{split}"
            : throw new ArgumentException($"'{split}' is no split: {string.Join(", ", Splits)}", nameof(split));
    }

    /// <exception cref="ArgumentException">It is no name for a dataset.</exception>
    public static void ThrowUnlessValid(string dataset)
    {
        if (!Name().IsMatch(dataset))
            throw new ArgumentException(
                $"'{dataset}' is no name for a dataset: at most 100 letters, digits, '.', '_' and '-', first a letter or digit",
                nameof(dataset));
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Name();
}
