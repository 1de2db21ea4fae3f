using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class ArtifactLifecycleTests(TestDatabase database)
{
    private static readonly ApiPrincipal engineer = new("key_1", "bob", Roles.Engineer);
    private static readonly ApiPrincipal approver = new("key_2", "eve", Roles.Approver);
    private static readonly PromotionPolicy free = new() { RequireApproval = false };
    private static readonly PromotionPolicy strict = new() { RequireApproval = true };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PromoteAsync_StepByStepWithApproval_ReachesProductionAndIsAudited()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, audit) = Make(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));

        Assert.Equal(new Promotion.Moved("tiny@1", "DEV", "STAGING"), await lifecycle.PromoteAsync("tiny", Stages.Staging, engineer, free, Stop));
        var waiting = Assert.IsType<Promotion.GatesNotMet>(await lifecycle.PromoteAsync("tiny", Stages.Production, engineer, strict, Stop));
        Assert.StartsWith("approval:", Assert.Single(waiting.Gates), StringComparison.Ordinal);
        Assert.IsType<Judgement.Recorded>(
            await lifecycle.JudgeAsync("tiny", Stages.Production, approver, approve: true, cancellationToken: Stop));
        Assert.Equal(
            new Promotion.Moved("tiny@1", "STAGING", "PRODUCTION"), await lifecycle.PromoteAsync("tiny", Stages.Production, engineer, strict, Stop));
        Assert.Equal(Stages.Production, (await registry.Artifacts.GetAsync("tiny", Stop))!.Stage);

        Assert.Equal(3, Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop)).Head.Sequence);
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        var rows = context.Audit.OrderBy(row => row.Sequence).ToList();
        Assert.Equal(
            ["bob artifact.promoted tiny@1", "eve artifact.approved tiny@1", "bob artifact.promoted tiny@1"],
            rows.Select(row => $"{row.Actor} {row.Action} {row.Subject}"));
        Assert.Contains("\"approved_by\":[\"eve\"]", rows[2].Detail, StringComparison.Ordinal);
        Assert.Contains("\"single_user\":false", rows[2].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PromoteAsync_TamperedFile_StaysWhereItIs()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, audit) = Make(registry);
        var artifact = await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        TestRegistry.FlipByte(registry.BlobPath(artifact.Manifest, "config.json"), 0);

        var refused = Assert.IsType<Promotion.GatesNotMet>(await lifecycle.PromoteAsync("tiny", Stages.Staging, engineer, free, Stop));
        Assert.StartsWith("verification: tiny@1: config.json was changed", Assert.Single(refused.Gates), StringComparison.Ordinal);
        Assert.Equal(Stages.Dev, (await registry.Artifacts.GetAsync("tiny", Stop))!.Stage);
        Assert.Equal(new AuditVerification.Intact(new AuditHead(0, new string('0', 64))), await audit.VerifyAsync(cancellationToken: Stop));
        Assert.Equal(new Promotion.Moved("tiny@1", "DEV", "ARCHIVED"), await lifecycle.ArchiveAsync("tiny", engineer, Stop));
    }

    [Fact]
    public async Task DeleteAsync_WhileSomethingDependsOnIt_NamesAllAndDeletesNothing()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var deletions = new ArtifactDeletions(registry.Contexts, registry.Audit);
        var (lifecycle, _) = Make(registry);
        await registry.RegisterChainAsync();
        await lifecycle.PromoteAsync("base@1", Stages.Staging, engineer, free, Stop);
        await new ArtifactAliases(registry.Contexts, registry.Audit, registry.Time).SetAsync("base@1", "champion", engineer, cancellationToken: Stop);
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Deployments.Add(new() { Name = "served", Artifact = "base@1", ManifestDigest = "", CreatedAt = registry.Time.GetUtcNow() });
            await context.SaveChangesAsync(Stop);
        }
        Assert.Equal(
            ["it is in STAGING", "alias base:champion", "deployment served", "adapter adapter@1 was made from it (base)", "gguf gguf@1 was made from it (base)"],
            Assert.IsType<ArtifactDeletion.InUse>(await deletions.DeleteAsync("base@1", engineer, Stop)).Dependents.Select(text => text.Split(" points", 2)[0].Split(" serves", 2)[0].Split(": ", 2)[0]));
        Assert.Equal(3, (await registry.Artifacts.ListAsync(cancellationToken: Stop)).Count);
    }

    [Fact]
    public async Task DeleteAsync_NothingDependsOnIt_IsGoneAuditedAndItsNumberIsNotGivenAgain()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var deletions = new ArtifactDeletions(registry.Contexts, registry.Audit);
        var (_, _, gguf) = await registry.RegisterChainAsync();
        Assert.Equal(new ArtifactDeletion.Deleted("gguf@1"), await deletions.DeleteAsync("gguf@1", engineer, Stop));
        Assert.IsType<ArtifactDeletion.NotFound>(await deletions.DeleteAsync("gguf@1", engineer, Stop));
        Assert.Null(await registry.Artifacts.GetAsync("gguf@1", Stop));
        Assert.Equal("bob artifact.deleted gguf@1", await registry.AuditRowsAsync() is [var row] ? $"{row.Actor} {row.Action} {row.Subject}" : "");
        Assert.Equal("2", (await registry.RegisterAsync(await registry.DraftAsync("gguf", ArtifactKinds.Gguf))).Manifest.Version);
        Assert.IsType<ArtifactDeletion.Deleted>(await deletions.DeleteAsync("adapter@1", engineer, Stop)); // its child is gone
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        Assert.Equal(4, context.ArtifactFiles.Count()); // of the base and the new one
        Assert.True(await registry.Store.HeadAsync(SignedManifest.KeyOf("gguf", gguf.Manifest.Version), Stop) is not null);
    }

    [Fact]
    public async Task PromoteAsync_MoveThatDoesNotExist_IsNotAllowed()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, _) = Make(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        Assert.Equal(
            new Promotion.MoveNotAllowed("DEV", "PRODUCTION"),
            await lifecycle.PromoteAsync("tiny", Stages.Production, engineer, free, Stop));
        Assert.Equal(
            new Promotion.MoveNotAllowed("DEV", "ARCHIVED"), await lifecycle.PromoteAsync("tiny", Stages.Archived, engineer, free, Stop));
        Assert.Equal(new Promotion.NotFound("none"), await lifecycle.PromoteAsync("none", Stages.Staging, engineer, free, Stop));
        await lifecycle.ArchiveAsync("tiny", engineer, Stop);
        Assert.Equal(
            new Promotion.MoveNotAllowed("ARCHIVED", "STAGING"),
            await lifecycle.PromoteAsync("tiny", Stages.Staging, engineer, free, Stop));
        Assert.Equal(new Promotion.MoveNotAllowed("ARCHIVED", "ARCHIVED"), await lifecycle.ArchiveAsync("tiny", engineer, Stop));
    }

    [Fact]
    public async Task PromoteAsync_GateOnEvaluations_ReadsTheNewestThatVerifies()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, _) = Make(registry);
        var model = await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        var other = await registry.RegisterAsync(await registry.DraftAsync("other"));
        await registry.RegisterAsync(await registry.DraftAsync("small", ArtifactKinds.Gguf, TestRegistry.Parent("source", model)));
        var easy = await registry.RegisterAsync(await registry.DraftAsync("easy", ArtifactKinds.Dataset));
        var hard = await registry.RegisterAsync(await registry.DraftAsync("hard", ArtifactKinds.Dataset));

        // 1. Without one of its own, nothing was measured: another model's does not count, nor one that is about it as a base.
        await EvaluateAsync(other, easy, 0.99);
        await registry.RegisterAsync((await registry.DraftAsync("as-base", ArtifactKinds.Evaluation, TestRegistry.Parent("base", model))) with { Metrics = Score(0.99) });
        Assert.Equal("metric eval.score: it was not measured.", await GateAsync("tiny", "eval.score"));

        // 2. The newest counts, and of a dataset the newest on it.
        await EvaluateAsync(model, hard, 0.8);
        await EvaluateAsync(model, easy, 0.3);
        Assert.Equal("metric eval.score: 0.3 is below 0.5.", await GateAsync("tiny", "eval.score"));
        Assert.Equal("metric eval.easy.score: 0.3 is below 0.5.", await GateAsync("tiny", "eval.easy.score"));
        Assert.Null(await GateAsync("tiny", "eval.hard.score"));

        // 3. A gguf artifact is the model that it was made from.
        Assert.Equal("metric eval.score: 0.3 is below 0.5.", await GateAsync("small", "eval.score"));

        // 4. One that was changed after it was signed says nothing.
        var newest = await EvaluateAsync(model, easy, 0.4);
        registry.EditManifest(newest.Manifest, signed => TestRegistry.Replace(signed, "0.4", "0.9"));
        Assert.Equal("metric eval.score: 0.3 is below 0.5.", await GateAsync("tiny", "eval.score"));

        static Dictionary<string, double> Score(double score) => new() { ["score"] = score };

        async Task<Registration.Registered> EvaluateAsync(Registration.Registered candidate, Registration.Registered dataset, double score)
        {
            var draft = await registry.DraftAsync(
                $"{candidate.Manifest.Name}-eval", ArtifactKinds.Evaluation, TestRegistry.Parent("candidate", candidate), TestRegistry.Parent("dataset", dataset));
            return await registry.RegisterAsync(draft with { Metrics = Score(score) });
        }

        // Asks for what nothing has too, so that the artifact stays where it is.
        async Task<string?> GateAsync(string artifact, string metric)
        {
            var policy = new PromotionPolicy { RequireApproval = false, Metrics = [new(metric, 0.5, null), new("never", 1, null)] };
            var refused = Assert.IsType<Promotion.GatesNotMet>(await lifecycle.PromoteAsync(artifact, Stages.Staging, engineer, policy, Stop));
            return refused.Gates.SingleOrDefault(gate => !gate.StartsWith("metric never", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task PromoteAsync_EightAtOnce_OneMoves()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, audit) = Make(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            Task.Run(() => lifecycle.PromoteAsync("tiny", Stages.Staging, engineer, free, Stop), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(30), Stop);
        Assert.Single(outcomes.OfType<Promotion.Moved>());
        Assert.Equal(7, outcomes.OfType<Promotion.MoveNotAllowed>().Count());
        Assert.Equal(1, Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop)).Head.Sequence);
    }

    [Fact]
    public async Task JudgeAsync_WithoutTheRoleOrTheMove_IsNotAllowed()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (lifecycle, _) = Make(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        var role = Assert.IsType<Judgement.NotAllowed>(
            await lifecycle.JudgeAsync("tiny", Stages.Staging, engineer, approve: true, cancellationToken: Stop));
        Assert.Contains("role engineer", role.Reason, StringComparison.Ordinal);
        Assert.Equal(
            new Judgement.MoveNotAllowed("DEV", "PRODUCTION"),
            await lifecycle.JudgeAsync("tiny", Stages.Production, approver, approve: true, cancellationToken: Stop));
        Assert.Equal(
            new Judgement.NotFound("none"),
            await lifecycle.JudgeAsync("none", Stages.Staging, approver, approve: true, cancellationToken: Stop));
    }

    private static (ArtifactLifecycle Lifecycle, AuditLog Audit) Make(TestRegistry registry)
    {
        var audit = new AuditLog(registry.Contexts, registry.Time);
        return (new ArtifactLifecycle(registry.Contexts, registry.Artifacts, audit, registry.Time), audit);
    }
}

public sealed class ArtifactLifecycleOnSqliteTests() : ArtifactLifecycleTests(TestDatabase.Sqlite);

public sealed class ArtifactLifecycleOnPostgreSqlTests() : ArtifactLifecycleTests(TestDatabase.PostgreSql);
