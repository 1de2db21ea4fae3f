using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace ModelOps.Registry;

/// <summary>Moves artifacts between stages. Each move and its audit row are one transaction.</summary>
public sealed class ArtifactLifecycle(
    IDbContextFactory<MetadataContext> contexts, ArtifactRegistry registry, AuditLog audit, TimeProvider time)
{
    /// <summary>Moves one step up when every gate of the policy is met. Files are verified anew.</summary>
    public async Task<Promotion> PromoteAsync(
        string reference, string stage, ApiPrincipal by, PromotionPolicy policy, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } artifact)
            return new Promotion.NotFound(reference);
        if (stage == Stages.Archived || !PromotionGates.CanMove(artifact.Stage, stage))
            return new Promotion.MoveNotAllowed(artifact.Stage, stage);

        // Verifying reads every file; verdicts are read after it, in the transaction that moves: a rejection in between counts.
        var verification = (await registry.VerifyAsync($"{artifact.Name}@{artifact.Version}", cancellationToken).ConfigureAwait(false))!;
        var metrics = await MetricsAsync(context, artifact, policy, cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await LockAsync(context, artifact, cancellationToken).ConfigureAwait(false);
            var verdicts = await VerdictsAsync(context, artifact, stage, cancellationToken).ConfigureAwait(false);
            var evidence = new PromotionEvidence(verification, metrics, artifact.CreatedBy, by.Name, verdicts);
            if (PromotionGates.Unmet(policy, evidence) is { Count: > 0 } unmet)
                return new Promotion.GatesNotMet(unmet, verification.Verified);

            var detail = new JsonObject
            {
                ["from"] = artifact.Stage,
                ["to"] = stage,
                ["digest"] = artifact.Digest,
                ["approved_by"] = new JsonArray([.. verdicts.Where(verdict => verdict.Approved).Select(verdict => (JsonNode)verdict.By)]),
                ["single_user"] = policy.SingleUser,
            };
            return await MoveAsync(context, transaction, artifact, stage, by, "artifact.promoted", detail, cancellationToken)
                .ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Takes the artifact out of use; its manifest and history stay. No gates: what no longer verifies can be archived too, but not what
    /// an alias points to.
    /// </summary>
    public async Task<Promotion> ArchiveAsync(string reference, ApiPrincipal by, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } artifact)
            return new Promotion.NotFound(reference);
        if (!PromotionGates.CanMove(artifact.Stage, Stages.Archived))
            return new Promotion.MoveNotAllowed(artifact.Stage, Stages.Archived);
        var detail = new JsonObject { ["from"] = artifact.Stage, ["to"] = Stages.Archived, ["digest"] = artifact.Digest };
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            return await MoveAsync(context, transaction, artifact, Stages.Archived, by, "artifact.archived", detail, cancellationToken)
                .ConfigureAwait(false);
        }
    }

    /// <summary>The verdicts of an artifact or of all, newest first.</summary>
    /// <param name="reference">Null: of all.</param>
    public async Task<IReadOnlyList<Approval>> ApprovalsAsync(string? reference = null, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var artifact = reference is null ? null : await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false);
        if (reference is not null && artifact is null)
            return [];
        var approvals =
            from row in context.Approvals
            join of in context.Artifacts on row.ArtifactId equals of.Id
            where artifact == null || of.Id == artifact.Id
            orderby row.Id descending
            select new Approval(of.Name + "@" + of.Version, row.Stage, row.By, row.Approved, row.Comment, row.At);
        return await approvals.ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Records an approver's verdict on a promotion that may be asked for later.</summary>
    public async Task<Judgement> JudgeAsync(
        string reference,
        string stage,
        ApiPrincipal by,
        bool approve,
        string? comment = null,
        CancellationToken cancellationToken = default)
    {
        if (by.Role is not (Roles.Approver or Roles.Admin))
            return new Judgement.NotAllowed(
                $"{by.Name} has the role {by.Role}; only {Roles.Approver} and {Roles.Admin} approve or reject.");
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } artifact)
            return new Judgement.NotFound(reference);
        if (stage == Stages.Archived || !PromotionGates.CanMove(artifact.Stage, stage))
            return new Judgement.MoveNotAllowed(artifact.Stage, stage);

        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await LockAsync(context, artifact, cancellationToken).ConfigureAwait(false);
            context.Approvals.Add(new ApprovalRow
            {
                ArtifactId = artifact.Id,
                Stage = stage,
                By = by.Name,
                Approved = approve,
                Comment = comment,
                At = time.GetUtcNow(),
            });
            var detail = new JsonObject { ["stage"] = stage, ["digest"] = artifact.Digest, ["comment"] = comment };
            await SaveAsync(context, artifact, by, approve ? "artifact.approved" : "artifact.rejected", detail, cancellationToken)
                .ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        return new Judgement.Recorded($"{artifact.Name}@{artifact.Version}");
    }

    /// <summary>The artifact's own, and those of its evaluations where a gate asks for them.</summary>
    private async Task<IReadOnlyDictionary<string, double>> MetricsAsync(
        MetadataContext context, ArtifactRow artifact, PromotionPolicy policy, CancellationToken cancellationToken)
    {
        var own = ArtifactRegistry.ToEntry(artifact).Manifest.Metrics;
        if (!policy.Metrics.Any(gate => gate.Metric.StartsWith(EvaluationMetrics.Prefix, StringComparison.Ordinal))) return own;
        var evaluated = await new EvaluationMetrics(registry).OfAsync(context, artifact, cancellationToken).ConfigureAwait(false);
        return own.Where(metric => !metric.Key.StartsWith(EvaluationMetrics.Prefix, StringComparison.Ordinal)).Concat(evaluated).ToDictionary(StringComparer.Ordinal);
    }

    private static Task LockAsync(MetadataContext context, ArtifactRow artifact, CancellationToken cancellationToken) =>
        context.LockAsync($"artifact {artifact.Id}", cancellationToken);

    private static Task<List<Verdict>> VerdictsAsync(
        MetadataContext context, ArtifactRow artifact, string stage, CancellationToken cancellationToken) =>
        context.Approvals.Where(row => row.ArtifactId == artifact.Id && row.Stage == stage).OrderBy(row => row.Id)
            .Select(row => new Verdict(row.By, row.Approved, row.Comment)).ToListAsync(cancellationToken);

    private static Task<List<string>> AliasesAsync(MetadataContext context, ArtifactRow artifact, CancellationToken cancellationToken) =>
        context.Aliases.Where(row => row.ArtifactId == artifact.Id).OrderBy(row => row.Alias).Select(row => row.Name + ":" + row.Alias)
            .ToListAsync(cancellationToken);

    private async Task<Promotion> MoveAsync(
        MetadataContext context,
        IDbContextTransaction transaction,
        ArtifactRow artifact,
        string stage,
        ApiPrincipal by,
        string action,
        JsonObject detail,
        CancellationToken cancellationToken)
    {
        DateTimeOffset? archivedAt = stage == Stages.Archived ? time.GetUtcNow() : null;
        var moved = await context.Artifacts.Where(row => row.Id == artifact.Id && row.Stage == artifact.Stage)
            .ExecuteUpdateAsync(
                update => update.SetProperty(row => row.Stage, stage).SetProperty(row => row.ArchivedAt, archivedAt), cancellationToken)
            .ConfigureAwait(false);
        if (moved == 0) // somebody else moved it meanwhile
        {
            var now = await context.Artifacts.Where(row => row.Id == artifact.Id).Select(row => row.Stage)
                .SingleAsync(cancellationToken).ConfigureAwait(false);
            return new Promotion.MoveNotAllowed(now, stage);
        }
        // After the move: who sets an alias writes the same row, so it came before and is seen, or finds the artifact archived.
        if (stage == Stages.Archived && await AliasesAsync(context, artifact, cancellationToken).ConfigureAwait(false) is { Count: > 0 } aliases)
            return new Promotion.Aliased(aliases);
        await SaveAsync(context, artifact, by, action, detail, cancellationToken).ConfigureAwait(false);
        await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        return new Promotion.Moved($"{artifact.Name}@{artifact.Version}", artifact.Stage, stage);
    }

    private async Task SaveAsync(
        MetadataContext context,
        ArtifactRow artifact,
        ApiPrincipal by,
        string action,
        JsonObject detail,
        CancellationToken cancellationToken)
    {
        var subject = $"{artifact.Name}@{artifact.Version}";
        await audit.AddAsync(context, by.Name, action, subject, JsonElement.Parse(detail.ToJsonString()), cancellationToken)
            .ConfigureAwait(false);
        await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
    }
}

public abstract record Promotion
{
    private Promotion()
    {
    }

    /// <param name="Artifact"><c>name@version</c></param>
    public sealed record Moved(string Artifact, string From, string To) : Promotion;

    /// <summary>Every gate that is not met.</summary>
    /// <param name="Verified">False: verification is among them.</param>
    public sealed record GatesNotMet(IReadOnlyList<string> Gates, bool Verified) : Promotion;

    /// <summary>What is in use by name stays; these aliases point to it, each <c>name:alias</c>.</summary>
    public sealed record Aliased(IReadOnlyList<string> Aliases) : Promotion;

    public sealed record MoveNotAllowed(string From, string To) : Promotion;

    public sealed record NotFound(string Reference) : Promotion;
}

/// <summary>A verdict as it was recorded.</summary>
/// <param name="Artifact"><c>name@version</c></param>
public sealed record Approval(string Artifact, string Stage, string By, bool Approved, string? Comment, DateTimeOffset At);

public abstract record Judgement
{
    private Judgement()
    {
    }

    /// <param name="Artifact"><c>name@version</c></param>
    public sealed record Recorded(string Artifact) : Judgement;

    public sealed record NotAllowed(string Reason) : Judgement;

    public sealed record MoveNotAllowed(string From, string To) : Judgement;

    public sealed record NotFound(string Reference) : Judgement;
}
