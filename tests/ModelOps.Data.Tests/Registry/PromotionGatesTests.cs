using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class PromotionGatesTests
{
    private static readonly string[] stages = [Stages.Dev, Stages.Staging, Stages.Production, Stages.Archived];

    private static readonly PromotionEvidence clean = new(
        new VerificationReport("tiny@1", [new VerificationCheck("tiny@1", VerificationChecks.Signature, Passed: true, "signed")]),
        new Dictionary<string, double> { ["perplexity"] = 8.5 }, CreatedBy: "ada", RequestedBy: "bob", Verdicts: []);

    private static readonly PromotionPolicy needsApproval = new() { RequireApproval = true };

    [Fact]
    public void CanMove_EveryPair_AllowsOnlyTheDocumentedMoves()
    {
        var allowed = from start in stages from end in stages where PromotionGates.CanMove(start, end) select $"{start} {end}";
        Assert.Equal(
            ["DEV STAGING", "DEV ARCHIVED", "STAGING PRODUCTION", "STAGING ARCHIVED", "PRODUCTION ARCHIVED"], allowed);
        Assert.False(PromotionGates.CanMove(Stages.Dev, "staging"));
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData(8.5, 8.5, true)]
    [InlineData(8.6, null, false)]
    [InlineData(null, 8.4, false)]
    public void Unmet_MetricThreshold_IncludesItsBounds(double? min, double? max, bool met)
    {
        var policy = new PromotionPolicy { RequireApproval = false, Metrics = [new MetricGate("perplexity", min, max)] };
        Assert.Equal(met, PromotionGates.Unmet(policy, clean).Count == 0);
    }

    [Fact]
    public void Unmet_EverythingMissing_ListsEveryGate()
    {
        var failed = new VerificationCheck("base@1", VerificationChecks.Key, Passed: false, "the key is not trusted.");
        var policy = new PromotionPolicy { RequireApproval = true, Metrics = [new("perplexity", null, 8), new("toxicity", null, 0.1)] };
        var unmet = PromotionGates.Unmet(policy, clean with { Verification = new VerificationReport("tiny@1", [failed]) });
        Assert.Equal(
            [
                "verification: base@1: the key is not trusted.",
                "metric perplexity: 8.5 is above 8.",
                "metric toxicity: it was not measured.",
                "approval: an approver other than ada and bob has to approve it.",
            ],
            unmet);
    }

    [Theory]
    [InlineData("ada", false)] // who made it
    [InlineData("bob", false)] // who promotes it
    [InlineData("eve", true)]
    public void Unmet_Approval_CountsOnlyFromSomebodyElse(string approver, bool met)
    {
        var evidence = clean with { Verdicts = [new Verdict(approver, Approved: true, Comment: null)] };
        Assert.Equal(met, PromotionGates.Unmet(needsApproval, evidence).Count == 0);
        Assert.Empty(PromotionGates.Unmet(needsApproval with { SingleUser = true }, evidence));
    }

    [Fact]
    public void Unmet_NobodyApproved_IsNotHelpedBySingleUser() =>
        Assert.Single(PromotionGates.Unmet(needsApproval with { SingleUser = true }, clean));

    [Fact]
    public void Unmet_RejectionBesideAnApproval_StandsUntilWithdrawn()
    {
        var evidence = clean with { Verdicts = [new("eve", Approved: true, null), new("zoe", Approved: false, "too slow")] };
        Assert.Equal(["approval: zoe rejected it: too slow"], PromotionGates.Unmet(needsApproval, evidence));
        Assert.Empty(
            PromotionGates.Unmet(needsApproval, evidence with { Verdicts = [.. evidence.Verdicts, new("zoe", Approved: true, null)] }));
    }
}
