using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Tables.Delta;

/// <summary>The table properties that a writer acts on (docs.delta.io, "Table properties reference").</summary>
internal sealed partial class TableProperties(IReadOnlyDictionary<string, string>? configuration)
{
    public const string ConstraintPrefix = "delta.constraints.";
    private const string AppendOnly = "delta.appendOnly";
    private const string ChangeDataFeed = "delta.enableChangeDataFeed";
    private const string InCommitTimestamps = "delta.enableInCommitTimestamps";
    private const string Checkpoints = "delta.checkpointInterval";
    private const string LogCleanup = "delta.enableExpiredLogCleanup";
    private const string LogRetentionName = "delta.logRetentionDuration";
    private const string FileRetentionName = "delta.deletedFileRetentionDuration";
    private const string IndexedColumnsName = "delta.dataSkippingNumIndexedCols";
    private const string IsolationName = "delta.isolationLevel";

    private static readonly string[] Known =
    [
        AppendOnly, ChangeDataFeed, InCommitTimestamps, Checkpoints, LogCleanup, LogRetentionName, FileRetentionName, IndexedColumnsName, IsolationName,
    ];

    public bool IsAppendOnly => Flag(AppendOnly, missing: false);

    public bool HasChangeDataFeed => Flag(ChangeDataFeed, missing: false);

    public bool HasInCommitTimestamps => Flag(InCommitTimestamps, missing: false);

    /// <summary>Commits from checkpoint to checkpoint.</summary>
    /// <value>The default is 10.</value>
    public int CheckpointInterval => Number(Checkpoints, missing: 10, least: 1);

    /// <value>The default is true.</value>
    public bool CleansUpLog => Flag(LogCleanup, missing: true);

    /// <value>The default is 30 days.</value>
    public TimeSpan LogRetention => Interval(LogRetentionName, missing: TimeSpan.FromDays(30));

    /// <summary>How long the log remembers which files were removed, and vacuum keeps them.</summary>
    /// <value>The default is 7 days.</value>
    public TimeSpan FileRetention => Interval(FileRetentionName, missing: TimeSpan.FromDays(7));

    /// <summary>Leaf columns with statistics; -1: all.</summary>
    /// <value>The default is 32.</value>
    public int IndexedColumns => Number(IndexedColumnsName, StagingOptions.DefaultIndexedColumns, least: StagingOptions.AllColumns);

    /// <value>The default is Serializable.</value>
    public IsolationLevel Isolation => Text(IsolationName) is { } text ? Enum.Parse<IsolationLevel>(text, ignoreCase: true) : IsolationLevel.Serializable;

    /// <summary>SQL by name.</summary>
    public IReadOnlyDictionary<string, string> Constraints => (configuration ?? new Dictionary<string, string>(StringComparer.Ordinal))
        .Where(property => property.Key.StartsWith(ConstraintPrefix, StringComparison.Ordinal))
        .ToDictionary(property => property.Key[ConstraintPrefix.Length..], property => property.Value, StringComparer.Ordinal);

    /// <summary>What is wrong with properties for a new table; a property of Delta that does nothing here is wrong.</summary>
    public IEnumerable<string> Faults()
    {
        foreach (var (name, value) in configuration ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            if (!name.StartsWith("delta.", StringComparison.Ordinal) || name.StartsWith(ConstraintPrefix, StringComparison.Ordinal)) continue;
            if (!Known.Contains(name, StringComparer.Ordinal)) yield return $"{name} is not supported; supported are {string.Join(", ", Known)}";
            else if (!IsValid(name, value)) yield return $"{name} cannot be '{value}'";
        }
    }

    private static bool IsValid(string name, string value) => name switch
    {
        Checkpoints => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0,
        IndexedColumnsName => int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= -1,
        LogRetentionName or FileRetentionName => ParseInterval(value) is not null,
        IsolationName => value is nameof(IsolationLevel.Serializable) or nameof(IsolationLevel.WriteSerializable),
        _ => bool.TryParse(value, out _),
    };

    private string? Text(string name) => configuration?.GetValueOrDefault(name) is not { } text ? null
        : IsValid(name, text) ? text
        : throw new DeltaException($"the table property {name} cannot be '{text}'");

    private bool Flag(string name, bool missing) => Text(name) is { } text ? bool.Parse(text) : missing;

    private int Number(string name, int missing, int least) =>
        Text(name) is { } text ? Math.Max(least, int.Parse(text, CultureInfo.InvariantCulture)) : missing;

    private TimeSpan Interval(string name, TimeSpan missing) => Text(name) is { } text ? ParseInterval(text)!.Value : missing;

    /// <summary>Spark's calendar intervals without months and years: 'interval 1 week 2 days'.</summary>
    private static TimeSpan? ParseInterval(string text)
    {
        if (!IntervalText().IsMatch(text)) return null;
        var ticks = IntervalPart().Matches(text).Aggregate(0m, (sum, part) => sum + (Unit(part.Groups["unit"].Value) * decimal.Parse(
            part.Groups["count"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture)));
        return ticks <= TimeSpan.MaxValue.Ticks ? TimeSpan.FromTicks((long)ticks) : null;
    }

    private static decimal Unit(string unit) => unit.ToLowerInvariant() switch
    {
        "microsecond" => TimeSpan.TicksPerMicrosecond,
        "millisecond" => TimeSpan.TicksPerMillisecond,
        "second" => TimeSpan.TicksPerSecond,
        "minute" => TimeSpan.TicksPerMinute,
        "hour" => TimeSpan.TicksPerHour,
        "day" => TimeSpan.TicksPerDay,
        _ => 7m * TimeSpan.TicksPerDay,
    };

    [GeneratedRegex(
        @"\A(interval)?(\s*[0-9]{1,15}\s+(microsecond|millisecond|second|minute|hour|day|week)s?)+\s*\z",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IntervalText();

    [GeneratedRegex(
        @"(?<count>[0-9]+)\s+(?<unit>microsecond|millisecond|second|minute|hour|day|week)",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IntervalPart();
}
