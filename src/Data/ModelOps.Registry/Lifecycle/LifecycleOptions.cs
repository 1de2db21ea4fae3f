using System.ComponentModel.DataAnnotations;

namespace ModelOps.Registry;

/// <summary>What promotions ask for, and how long archived files are kept.</summary>
public sealed record LifecycleOptions
{
    /// <summary>Lets people approve their own work: for installations of one person. Each promotion's record says that it was on.</summary>
    /// <value>The default is false.</value>
    public bool SingleUser { get; init; }

    /// <summary>What a promotion to STAGING asks for.</summary>
    /// <value>The default asks for verification alone.</value>
    public StageGates Staging { get; init; } = new();

    /// <summary>What a promotion to PRODUCTION asks for.</summary>
    /// <value>The default asks for verification and approval.</value>
    public StageGates Production { get; init; } = new() { RequireApproval = true };

    /// <summary>How long the files of archived artifacts are kept.</summary>
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
}

/// <summary>The gates before one stage, besides that the artifact verifies.</summary>
public sealed record StageGates
{
    /// <summary>Whether an approver who neither made nor promotes the artifact has to agree.</summary>
    /// <value>The default is false for STAGING and true for PRODUCTION.</value>
    public bool RequireApproval { get; init; }

    /// <summary>By the metric's name, eval.NAME of the newest evaluation; a metric that was not measured does not pass.</summary>
    /// <value>The default is none.</value>
    public IReadOnlyDictionary<string, MetricBounds> Metrics { get; init; } = new Dictionary<string, MetricBounds>();
}

/// <summary>The values that pass, bounds included.</summary>
public sealed record MetricBounds : IValidatableObject
{
    /// <summary>The smallest value that passes.</summary>
    public double? Min { get; init; }

    /// <summary>The largest value that passes.</summary>
    public double? Max { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (this is { Min: null, Max: null })
            yield return new("give it a min, a max or both");
        if (Min > Max)
            yield return new($"min {Min} is above max {Max}; nothing would pass");
    }
}

/// <summary>How long the files of archived artifacts are kept.</summary>
public sealed record RetentionOptions
{
    /// <summary>Days after which the files of an archived artifact that nothing live needs are removed.</summary>
    /// <value>The default is null: never.</value>
    [Range(1, 36_500)]
    public int? Days { get; init; }
}
