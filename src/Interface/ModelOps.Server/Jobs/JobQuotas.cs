using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Jobs;

/// <summary>What concerns all jobs.</summary>
public sealed record JobsOptions
{
    public JobQuotas Quotas { get; init; } = new();
}

/// <summary>How many unfinished jobs (queued, running or paused) a user may have. Administrators are not held to it.</summary>
public sealed record JobQuotas : IValidatableObject
{
    private const int Most = 1_000_000;

    /// <summary>Unfinished jobs that a user who is no administrator may have, of all kinds together; without a number any.</summary>
    [Range(0, Most)]
    public int? Unfinished { get; init; }

    /// <summary>Unfinished jobs that such a user may have of one kind, by its name, such as sft.</summary>
    public IReadOnlyDictionary<string, int> UnfinishedOfKind { get; init; } = new Dictionary<string, int>(StringComparer.Ordinal);

    /// <summary>Whether there is a quota for jobs of the kind.</summary>
    public bool HasFor(string kind) => Unfinished is not null || UnfinishedOfKind.ContainsKey(kind);

    /// <param name="unfinished">Jobs that the user has, by kind.</param>
    /// <returns>Why one more of the kind is refused; null: it is not.</returns>
    public string? Refusal(string user, string kind, IReadOnlyDictionary<string, int> unfinished)
    {
        var (all, same) = (unfinished.Values.Sum(), unfinished.GetValueOrDefault(kind));
        var reached = Unfinished <= all ? $"{Jobs(all, "")}, and jobs:quotas:unfinished allows {Unfinished}"
            : UnfinishedOfKind.TryGetValue(kind, out var most) && most <= same ? $"{Jobs(same, $" of the kind {kind}")}, and jobs:quotas:unfinished_of_kind:{kind} allows {most}"
            : null;
        return reached is null ? null : $"{user} has {reached}; wait until one ends, cancel one, or ask an administrator for more";
    }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (kind, most) in UnfinishedOfKind)
        {
            if (!JobKinds.Names.Contains(kind)) yield return new($"there is no kind of jobs '{kind}'; there are {string.Join(", ", JobKinds.Names)}", [nameof(UnfinishedOfKind)]);
            if (most is < 0 or > Most) yield return new($"{kind} is {most}; allowed is 0 to {Most}", [nameof(UnfinishedOfKind)]);
        }
    }

    private static string Jobs(int count, string ofKind) => $"{count} unfinished {(count == 1 ? "job" : "jobs")}{ofKind}";
}
