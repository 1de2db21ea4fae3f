using System.Text.RegularExpressions;

namespace ModelOps.Tables.Datasets;

/// <summary>Where a dataset's rows lie, and as what.</summary>
internal static partial class DatasetTables
{
    public const string Train = "train";
    public const string Validation = "validation";
    public const string Test = "test";

    public static IReadOnlyList<string> Splits { get; } = [Train, Validation, Test];

    /// <summary>The table of the bad rows.</summary>
    public const string Quarantine = "quarantine";

    public static IReadOnlyList<string> Names { get; } = [.. Splits, Quarantine];

    /// <exception cref="ArgumentException">The name of the dataset or of the table is not valid.</exception>
    public static string Path(string dataset, string name)
    {
        ThrowUnlessValid(dataset);
        return Names.Contains(name, StringComparer.Ordinal)
            ? $"datasets/{dataset}/{name}"
            : throw new ArgumentException($"'{name}' is no table of a dataset: {string.Join(", ", Names)}", nameof(name));
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
