using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>
/// Deletes artifacts that nothing depends on. The row and its audit row are one transaction; the files go with the next runs of retention, unless
/// others have them too. The signed manifest stays where it is stored: it holds the version, which is never given to something else.
/// </summary>
public sealed class ArtifactDeletions(IDbContextFactory<MetadataContext> contexts, AuditLog audit)
{
    /// <param name="reference"><c>name@version</c></param>
    public async Task<ArtifactDeletion> DeleteAsync(string reference, ApiPrincipal by, CancellationToken cancellationToken = default)
    {
        try
        {
            return await TryDeleteAsync(reference, by, cancellationToken).ConfigureAwait(false);
        }
        catch (DbUpdateException)
        {
            // Somebody made something of it meanwhile, or deleted it: the second look sees that.
            return await TryDeleteAsync(reference, by, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<ArtifactDeletion> TryDeleteAsync(string reference, ApiPrincipal by, CancellationToken cancellationToken)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync("aliases", cancellationToken).ConfigureAwait(false); // none is set to it until this ends
            if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } artifact)
                return new ArtifactDeletion.NotFound(reference);
            if (await DependentsAsync(context, artifact, cancellationToken).ConfigureAwait(false) is { Count: > 0 } dependents)
                return new ArtifactDeletion.InUse(dependents);
            context.Artifacts.Remove(artifact);
            var detail = new JsonObject { ["digest"] = artifact.Digest, ["kind"] = artifact.Kind, ["stage"] = artifact.Stage };
            await audit.AddAsync(
                context, by.Name, "artifact.deleted", $"{artifact.Name}@{artifact.Version}", JsonElement.Parse(detail.ToJsonString()), cancellationToken)
                .ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new ArtifactDeletion.Deleted($"{artifact.Name}@{artifact.Version}");
        }
    }

    /// <returns>Each with what to do about it.</returns>
    private static async Task<IReadOnlyList<string>> DependentsAsync(MetadataContext context, ArtifactRow artifact, CancellationToken cancellationToken)
    {
        var reference = $"{artifact.Name}@{artifact.Version}";
        var children =
            from edge in context.ArtifactEdges
            join child in context.Artifacts on edge.ArtifactId equals child.Id
            where edge.ParentId == artifact.Id
            orderby child.Id
            select $"{child.Kind} {child.Name}@{child.Version} was made from it ({edge.Role}): delete that first";
        var jobs = await UnfinishedJobs.LoadAsync(context, cancellationToken).ConfigureAwait(false);
        return
        [
            .. artifact.Stage is Stages.Staging or Stages.Production ? [$"it is in {artifact.Stage}: archive it first"] : Array.Empty<string>(),
            .. await context.Aliases.Where(row => row.ArtifactId == artifact.Id).OrderBy(row => row.Alias)
                .Select(row => $"alias {row.Name}:{row.Alias} points to it: move or remove it first").ToListAsync(cancellationToken).ConfigureAwait(false),
            .. await context.Deployments.Where(row => row.Artifact == reference).OrderBy(row => row.Name)
                .Select(row => $"deployment {row.Name} serves it: stop that first").ToListAsync(cancellationToken).ConfigureAwait(false),
            .. await context.DeploymentAdapters.Where(row => row.Artifact == reference).OrderBy(row => row.Deployment).ThenBy(row => row.Name)
                .Select(row => $"deployment {row.Deployment} serves it as adapter {row.Name}: take it from there first").ToListAsync(cancellationToken).ConfigureAwait(false),
            .. await context.DatasetVersions.Where(row => row.Artifact == reference)
                .Select(row => $"it is the proof of dataset {row.Dataset}@{row.Version}, which stays").ToListAsync(cancellationToken).ConfigureAwait(false),
            .. (await children.ToListAsync(cancellationToken).ConfigureAwait(false)).Distinct(),
            .. (jobs.Naming(reference) ?? jobs.Naming(artifact.Name)) is { } job ? [$"job {job} names it: wait for its end, or cancel it"] : Array.Empty<string>(),
        ];
    }
}

public abstract record ArtifactDeletion
{
    private ArtifactDeletion()
    {
    }

    /// <param name="Artifact"><c>name@version</c></param>
    public sealed record Deleted(string Artifact) : ArtifactDeletion;

    /// <param name="Dependents">All that depends on it.</param>
    public sealed record InUse(IReadOnlyList<string> Dependents) : ArtifactDeletion;

    public sealed record NotFound(string Reference) : ArtifactDeletion;
}
