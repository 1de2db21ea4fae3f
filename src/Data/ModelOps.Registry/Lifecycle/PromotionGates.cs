namespace ModelOps.Registry;

/// <summary>DEV → STAGING → PRODUCTION → ARCHIVED: the moves there are and the gates of a promotion; pure.</summary>
public static class PromotionGates
{
    /// <summary>One step up, or to ARCHIVED from anywhere; nothing leaves ARCHIVED.</summary>
    public static bool CanMove(string from, string to) => (from, to) switch
    {
        (Stages.Dev, Stages.Staging) or (Stages.Staging, Stages.Production) => true,
        (Stages.Dev or Stages.Staging or Stages.Production, Stages.Archived) => true,
        _ => false,
    };

    /// <returns>Every gate that is not met, saying what is missing; empty when the promotion may go on.</returns>
    public static IReadOnlyList<string> Unmet(PromotionPolicy policy, PromotionEvidence evidence) =>
    [
        .. evidence.Verification.Checks.Where(check => !check.Passed).Select(check => $"verification: {check.Artifact}: {check.Detail}"),
        .. policy.Metrics.Select(gate => Unmet(gate, evidence.Metrics)).OfType<string>(),
        .. UnmetApproval(policy, evidence),
    ];

    private static string? Unmet(MetricGate gate, IReadOnlyDictionary<string, double> metrics)
    {
        if (!metrics.TryGetValue(gate.Metric, out var value))
            return $"metric {gate.Metric}: it was not measured.";
        if (value < gate.Min)
            return $"metric {gate.Metric}: {value} is below {gate.Min}.";
        return value > gate.Max ? $"metric {gate.Metric}: {value} is above {gate.Max}." : null;
    }

    private static IEnumerable<string> UnmetApproval(PromotionPolicy policy, PromotionEvidence evidence)
    {
        if (!policy.RequireApproval)
            yield break;
        var verdicts = evidence.Verdicts.GroupBy(verdict => verdict.By).Select(byUser => byUser.Last()).ToList();
        foreach (var rejection in verdicts.Where(verdict => !verdict.Approved))
            yield return $"approval: {rejection.By} rejected it{(rejection.Comment is null ? "." : $": {rejection.Comment}")}";
        if (!verdicts.Any(verdict => verdict.Approved && (policy.SingleUser || IsIndependent(verdict.By, evidence))))
            yield return $"approval: an approver other than {string.Join(" and ", Involved(evidence))} has to approve it.";
    }

    private static bool IsIndependent(string approver, PromotionEvidence evidence) => !Involved(evidence).Contains(approver);

    private static IEnumerable<string> Involved(PromotionEvidence evidence) =>
        new[] { evidence.CreatedBy, evidence.RequestedBy }.Distinct();
}

/// <summary>What a promotion to a stage asks for, besides that the artifact verifies.</summary>
public sealed record PromotionPolicy
{
    public IReadOnlyList<MetricGate> Metrics { get; init; } = [];
    /// <summary>Whether an approver who neither made nor promotes the artifact has to agree.</summary>
    public required bool RequireApproval { get; init; }
    /// <summary>
    /// Lets people approve their own work: for installations of one person. The audit log records it with each promotion.
    /// </summary>
    public bool SingleUser { get; init; }
}

/// <param name="Min">Smallest value that passes; null: none.</param>
/// <param name="Max">Largest value that passes; null: none.</param>
public sealed record MetricGate(string Metric, double? Min, double? Max);

/// <param name="Verdicts">For this artifact and target stage, oldest first; the last of each approver counts.</param>
public sealed record PromotionEvidence(
    VerificationReport Verification,
    IReadOnlyDictionary<string, double> Metrics,
    string CreatedBy,
    string RequestedBy,
    IReadOnlyList<Verdict> Verdicts);

public sealed record Verdict(string By, bool Approved, string? Comment);
