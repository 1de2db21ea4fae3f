using System.Security.Claims;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Security;

namespace ModelOps.Server.Lifecycle;

/// <summary>Stages, aliases, lineage and retention of artifacts.</summary>
public static class LifecycleEndpoints
{
    public static void MapLifecycle(this IEndpointRouteBuilder api)
    {
        var artifacts = api.MapGroup("/artifacts").WithTags("artifacts");
        artifacts.MapPost("/{reference}/promote", PromoteAsync)
            .WithName("promoteArtifact").WithSummary("Moves an artifact one stage up, once every gate is met.").Produces<Artifact>();
        artifacts.MapPost("/{reference}/approve", (string reference, JudgeArtifact judge, ArtifactLifecycle lifecycle, ArtifactViews views, ClaimsPrincipal user, CancellationToken cancellationToken) =>
            JudgeAsync(reference, judge, approve: true, lifecycle, views, user, cancellationToken))
            .WithName("approveArtifact").WithSummary("Records that an approver agrees to a promotion.").Produces<Artifact>();
        artifacts.MapPost("/{reference}/reject", (string reference, JudgeArtifact judge, ArtifactLifecycle lifecycle, ArtifactViews views, ClaimsPrincipal user, CancellationToken cancellationToken) =>
            JudgeAsync(reference, judge, approve: false, lifecycle, views, user, cancellationToken))
            .WithName("rejectArtifact").WithSummary("Records that an approver is against a promotion.").Produces<Artifact>();
        artifacts.MapPost("/{reference}/archive", ArchiveAsync)
            .WithName("archiveArtifact").WithSummary("Takes an artifact out of use; its manifest and history stay.").Produces<Artifact>();
        artifacts.MapDelete("/{reference}", DeleteAsync)
            .WithName("deleteArtifact").WithSummary("Deletes a version that nothing depends on; otherwise names all that does.")
            .Produces(StatusCodes.Status204NoContent);
        api.MapGet("/approvals", async (string? artifact, ArtifactLifecycle lifecycle, CancellationToken cancellationToken) =>
            new Page<Client.Approval>([.. (await lifecycle.ApprovalsAsync(artifact, cancellationToken)).Select(ArtifactViews.ToWire)]))
            .WithTags("artifacts").WithName("listApprovals").WithSummary("Lists verdicts on promotions, of one artifact if it is named.");
        artifacts.MapLineage();
        artifacts.MapAliases();
        artifacts.MapPost("/prune", PruneAsync)
            .WithName("pruneArtifacts").WithSummary("Lets go the files of artifacts archived long ago and of nothing; a dry run only tells.").Produces<RetentionRun>();
    }

    private static async Task<IResult> PromoteAsync(
        string reference,
        PromoteArtifact promote,
        ArtifactLifecycle lifecycle,
        LifecycleOptions options,
        ArtifactViews views,
        ClaimsPrincipal user,
        CancellationToken cancellationToken)
    {
        if (NotAStage(promote.Stage) is { } invalid) return invalid;
        var promotion = await lifecycle.PromoteAsync(reference, promote.Stage, user.AsPrincipal()!, options.PolicyOf(promote.Stage), cancellationToken);
        return await AnswerAsync(reference, promotion, views, cancellationToken);
    }

    private static async Task<IResult> ArchiveAsync(
        string reference, ArtifactLifecycle lifecycle, ArtifactViews views, ClaimsPrincipal user, CancellationToken cancellationToken) =>
        await AnswerAsync(reference, await lifecycle.ArchiveAsync(reference, user.AsPrincipal()!, cancellationToken), views, cancellationToken);

    private static async Task<IResult> DeleteAsync(
        string reference, ArtifactDeletions deletions, ClaimsPrincipal user, CancellationToken cancellationToken)
    {
        if (!reference.Contains('@', StringComparison.Ordinal)) return Problems.Invalid($"'{reference}' is no version: write which one is to be deleted, {reference}@1 for example");
        return await deletions.DeleteAsync(reference, user.AsPrincipal()!, cancellationToken) switch
        {
            ArtifactDeletion.Deleted => Results.NoContent(),
            ArtifactDeletion.InUse used => Problems.Of(
                ProblemTypes.Conflict, StatusCodes.Status409Conflict, $"{reference} is not deleted: something depends on it", used.Dependents),
            ArtifactDeletion.NotFound => ArtifactEndpoints.NoSuchArtifact(reference),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static async Task<IResult> AnswerAsync(
        string reference, Promotion promotion, ArtifactViews views, CancellationToken cancellationToken) => promotion switch
        {
            Promotion.Moved moved => Results.Ok(await views.GetAsync(moved.Artifact, cancellationToken)),
            Promotion.NotFound => ArtifactEndpoints.NoSuchArtifact(reference),
            Promotion.MoveNotAllowed move => NoSuchMove(reference, move.From, move.To),
            Promotion.Aliased aliased => Problems.Conflict(
                $"{reference} is in use as {string.Join(", ", aliased.Aliases)}; move or remove the alias first"),
            Promotion.GatesNotMet { Verified: false } unmet => Problems.Of(
                ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity, NotMet(reference, unmet), unmet.Gates),
            Promotion.GatesNotMet unmet => Problems.Of(
                ProblemTypes.GatesNotMet, StatusCodes.Status409Conflict, NotMet(reference, unmet), unmet.Gates),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };

    private static async Task<IResult> JudgeAsync(
        string reference,
        JudgeArtifact judge,
        bool approve,
        ArtifactLifecycle lifecycle,
        ArtifactViews views,
        ClaimsPrincipal user,
        CancellationToken cancellationToken)
    {
        if (NotAStage(judge.Stage) is { } invalid) return invalid;
        return await lifecycle.JudgeAsync(reference, judge.Stage, user.AsPrincipal()!, approve, judge.Comment, cancellationToken) switch
        {
            Judgement.Recorded recorded => Results.Ok(await views.GetAsync(recorded.Artifact, cancellationToken)),
            Judgement.NotAllowed refused => Problems.Of(ProblemTypes.Forbidden, StatusCodes.Status403Forbidden, refused.Reason),
            Judgement.NotFound => ArtifactEndpoints.NoSuchArtifact(reference),
            Judgement.MoveNotAllowed move => NoSuchMove(reference, move.From, move.To),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static async Task<IResult> PruneAsync(
        RunRetention run, ArtifactRetention retention, LifecycleOptions options, ClaimsPrincipal user, CancellationToken cancellationToken)
    {
        var report = await retention.RunAsync(options.Retention, user.AsPrincipal()!.Name, run.DryRun, cancellationToken);
        return Results.Ok(new RetentionRun
        {
            DryRun = report.DryRun,
            Removed = [.. report.Removed.Select(removed => new RemovedArtifactFiles(removed.Artifact, removed.Files, removed.Size))],
            Kept = [.. report.Kept.Select(kept => new KeptArtifactFiles(kept.Artifact, kept.Reason))],
            SetAside = new(report.SetAside.Blobs, report.SetAside.Bytes),
            Freed = new(report.Freed.Blobs, report.Freed.Bytes),
        });
    }

    private static IResult? NotAStage(string stage) => stage is Stages.Staging or Stages.Production
        ? null
        : Problems.Invalid($"stage '{stage}': an artifact is promoted to {Stages.Staging} or {Stages.Production}");

    private static IResult NoSuchMove(string reference, string from, string to) => Problems.Conflict(
        $"{reference} is in {from} and cannot go to {to}; the moves are DEV to STAGING, STAGING to PRODUCTION, and any of them to ARCHIVED");

    private static string NotMet(string reference, Promotion.GatesNotMet unmet) =>
        $"{reference} stays where it is: {(unmet.Gates.Count == 1 ? "a gate is" : $"{unmet.Gates.Count} gates are")} not met";
}
