using System.ComponentModel.DataAnnotations;

namespace ModelOps.Registry;

/// <summary>What promotions ask for, and how long archived files are kept.</summary>
public sealed record LifecycleOptions : IValidatableObject
{
    /// <summary>Lets people approve their own work: for installations of one person. Each promotion's record says that it was on.</summary>
    /// <value>The default is false.</value>
    public bool SingleUser { get; init; }

    /// <value>The default asks for verification alone.</value>
    public StageGates Staging { get; init; } = new();

    /// <value>The default asks for verification and approval.</value>
    public StageGates Production { get; init; } = new() { RequireApproval = true };

    public RetentionOptions Retention { get; init; } = new();

    /// <param name="stage">The stage to be promoted to.</param>
    public PromotionPolicy PolicyOf(string stage)
    {
        var gates = stage == Stages.Staging ? Staging : Production;
        return new()
        {
            RequireApproval = gates.RequireApproval,
            SingleUser = SingleUser,
            Metrics = [.. gates.Metrics.Select(metric => new MetricGate(metric.Key, metric.Value.Min, metric.Value.Max))],
        };
    }

    /// <returns>Every fault, each with the key it stands at.</returns>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (stage, gates) in new[] { ("staging", Staging), ("production", Production) })
        {
            foreach (var (name, bounds) in gates.Metrics)
            {
                var key = $"lifecycle:{stage}:metrics:{name}";
                if (bounds is { Min: null, Max: null })
                    yield return new($"{key}: give it a min, a max or both.", [key]);
                if (bounds.Min > bounds.Max)
                    yield return new($"{key}: min {bounds.Min} is above max {bounds.Max}; nothing would pass.", [key]);
            }
        }
        if (Retention.Days is < RetentionOptions.FewestDays or > RetentionOptions.MostDays)
            yield return new(
                $"lifecycle:retention:days: {Retention.Days} is not from {RetentionOptions.FewestDays} to {RetentionOptions.MostDays}; leave it out to keep files for ever.",
                ["lifecycle:retention:days"]);
    }
}

/// <summary>The gates before one stage, besides that the artifact verifies.</summary>
public sealed record StageGates
{
    /// <summary>Whether an approver who neither made nor promotes the artifact has to agree.</summary>
    /// <value>The default is false for STAGING and true for PRODUCTION.</value>
    public bool RequireApproval { get; init; }

    /// <summary>By the metric's name; a metric that was not measured does not pass.</summary>
    /// <value>The default is none.</value>
    public IReadOnlyDictionary<string, MetricBounds> Metrics { get; init; } = new Dictionary<string, MetricBounds>();
}

/// <summary>The values that pass, bounds included.</summary>
public sealed record MetricBounds
{
    public double? Min { get; init; }
    public double? Max { get; init; }
}

public sealed record RetentionOptions
{
    public const int FewestDays = 1;
    public const int MostDays = 36_500;

    /// <summary>Days after which the files of an archived artifact that nothing live needs are removed.</summary>
    /// <value>The default is null: never.</value>
    public int? Days { get; init; }
}
