using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Shapes;

namespace ModelOps.Tables.Datasets;

/// <summary>What the user says of a file and wants done with it; everything absent is the default.</summary>
public sealed record IngestionOptions
{
    public const double DefaultShare = 0.05;
    public const string DefaultMaxBad = "5%";

    private static readonly Dictionary<string, string> NoNames = new(StringComparer.Ordinal);

    // Absent and null are the same.

    /// <summary>jsonl, json, csv, tsv, parquet or text.</summary>
    /// <value>The default is found out from the content.</value>
    public string? Format { get; init; }

    /// <summary>chat, sharegpt, alpaca, prompt-completion, question-answer, preference, kto or text.</summary>
    /// <value>The default is found out from the first rows.</value>
    public string? Shape { get; init; }

    /// <summary>The known name by the file's own name of a column.</summary>
    [AllowNull]
    public IReadOnlyDictionary<string, string> Map { get; set => field = value ?? NoNames; } = NoNames;

    /// <summary>Share of the rows, 0 to 1.</summary>
    /// <value>The default is 0.05.</value>
    public double Validation { get; set; } = DefaultShare;

    /// <summary>Share of the rows, 0 to 1.</summary>
    /// <value>The default is 0.05.</value>
    public double Test { get; set; } = DefaultShare;

    /// <summary>Bad rows allowed: a count, or a percentage of all rows with '%'.</summary>
    /// <value>The default is 5%.</value>
    [AllowNull]
    public string MaxBad { get; set => field = value ?? DefaultMaxBad; } = DefaultMaxBad;

    /// <summary>off, report or mask.</summary>
    [AllowNull]
    public string Pii { get; set => field = value ?? "off"; } = "off";

    /// <summary>off, report or remove.</summary>
    [AllowNull]
    public string NearDuplicates { get; set => field = value ?? "report"; } = "report";

    /// <summary>The model (name@version) whose tokenizer the tokens are counted with; null: they are not counted.</summary>
    public string? Tokenizer { get; init; }

    /// <returns>Everything that is wrong with the options.</returns>
    public IReadOnlyList<string> Check()
    {
        var errors = new List<string>();
        Expect(errors, "format", Format, SourceFormats.Names);
        Expect(errors, "shape", Shape, RowShape.Names);
        Expect(errors, "pii", Pii, IngestionPlan.NamesOf<PiiMode>());
        Expect(errors, "near_duplicates", NearDuplicates, IngestionPlan.NamesOf<NearDuplicateMode>());
        foreach (var (from, to) in Map)
            if (!RowShape.KnownKeys.Contains(to, StringComparer.Ordinal)) errors.Add($"map {from}={to}: '{to}' is no known name: {string.Join(", ", RowShape.KnownKeys)}");
        foreach (var twice in Map.GroupBy(entry => entry.Value, StringComparer.Ordinal).Where(group => group.Count() > 1))
            errors.Add($"map gives {twice.Key} to several columns: {string.Join(", ", twice.Select(entry => entry.Key))}");
        if (Validation is not (>= 0 and <= 1)) errors.Add($"validation must be from 0 to 1, not {Validation}");
        if (Test is not (>= 0 and <= 1)) errors.Add($"test must be from 0 to 1, not {Test}");
        if (errors.Count == 0 && Validation + Test > 1) errors.Add($"validation and test are {Validation + Test} together; at most 1");
        if (BadRowLimit.TryParse(MaxBad) is null) errors.Add($"max_bad must be a count of rows or a percentage such as 5%, not '{MaxBad}'");
        return errors;
    }

    private static void Expect(List<string> errors, string option, string? value, IReadOnlyList<string> allowed)
    {
        if (value is not null && !allowed.Contains(value, StringComparer.Ordinal))
            errors.Add($"{option} must be one of {string.Join(", ", allowed)}, not '{value}'");
    }
}

internal enum PiiMode
{
    Off,
    Report,
    Mask,
}

internal enum NearDuplicateMode
{
    Off,
    Report,
    Remove,
}

/// <summary>How many rows may be bad.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct BadRowLimit(long? Count, double? Share)
{
    public static BadRowLimit? TryParse(string text)
    {
        const NumberStyles Plain = NumberStyles.AllowDecimalPoint;
        if (text.EndsWith('%'))
            return double.TryParse(text.AsSpan(0, text.Length - 1), Plain, CultureInfo.InvariantCulture, out var percent) && percent <= 100
                ? new(null, percent / 100)
                : null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? new(count, null) : null;
    }

    public bool IsExceeded(long bad, long rows) => Count is { } count ? bad > count : bad > Share!.Value * rows;

    public override string ToString() => Count is { } count ? $"{count}" : $"{Share!.Value * 100:0.##}%";
}

/// <summary>The options as the ingestion works with them.</summary>
internal sealed record IngestionPlan(
    SourceFormat? Format,
    RowShape? Shape,
    IReadOnlyDictionary<string, string> Names,
    SplitShares Shares,
    BadRowLimit MaxBad,
    PiiMode Pii,
    NearDuplicateMode NearDuplicates)
{
    /// <summary>Names that a column of a table can have to be of use.</summary>
    public IReadOnlyCollection<string> KnownColumns { get; } =
        [.. RowShape.KnownKeys, .. Names.Values.Where(name => !name.StartsWith(CsvRows.ColumnPrefix, StringComparison.Ordinal))];

    /// <exception cref="ArgumentException">The options are not valid.</exception>
    public static IngestionPlan Of(IngestionOptions options)
    {
        if (options.Check() is { Count: > 0 } errors) throw new ArgumentException(string.Join('\n', errors), nameof(options));
        return new(
            options.Format is { } format ? SourceFormats.Parse(format) : null,
            options.Shape is { } shape ? RowShape.Known.Single(known => known.Name == shape) : null,
            options.Map.ToDictionary(entry => entry.Value, entry => entry.Key, StringComparer.Ordinal),
            new(options.Validation, options.Test),
            BadRowLimit.TryParse(options.MaxBad)!.Value,
            Enum.Parse<PiiMode>(options.Pii, ignoreCase: true),
            Enum.Parse<NearDuplicateMode>(options.NearDuplicates, ignoreCase: true));
    }

    public static IReadOnlyList<string> NamesOf<T>()
        where T : struct, Enum => [.. Enum.GetNames<T>().Select(name => name.ToLowerInvariant())];
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(IngestionOptions))]
[JsonSerializable(typeof(Reports.IngestionReport))]
public sealed partial class IngestionJson : JsonSerializerContext;
