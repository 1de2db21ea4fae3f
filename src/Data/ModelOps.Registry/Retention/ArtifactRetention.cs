using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>
/// Lets files go: those of artifacts archived long ago that nothing live needs, and blobs that nothing refers to. Manifests and history
/// stay. A run that is killed loses nothing and is taken up by the next.
/// </summary>
/// <remarks>
/// A blob goes in two steps, for workers find stored blobs without the database: first it is set aside, where a registration still
/// finds it; a day later, when every job that may have found it has ended, it is gone.
/// </remarks>
public sealed class ArtifactRetention(
    IDbContextFactory<MetadataContext> contexts, IObjectStore objects, AuditLog audit, TimeProvider time)
{
    private const int BatchSize = 500;

    /// <param name="by">Who the audit log says did it.</param>
    /// <param name="dryRun">Only reports.</param>
    public async Task<RetentionReport> RunAsync(
        RetentionOptions options, string by, bool dryRun = false, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var jobs = await UnfinishedJobs.LoadAsync(context, cancellationToken).ConfigureAwait(false);
        var (removed, kept, ids) = await RemoveFilesAsync(context, options, jobs, by, dryRun, cancellationToken).ConfigureAwait(false);
        var freed = await FreeAsync(context, jobs, dryRun, cancellationToken).ConfigureAwait(false);
        var setAside = await SetAsideAsync(context, jobs, ids, by, dryRun, cancellationToken).ConfigureAwait(false);
        if (!dryRun)
        {
            var stale = time.GetUtcNow() - BlobUses.Grace;
            await context.BlobUses.Where(row => row.At < stale).ExecuteDeleteAsync(cancellationToken).ConfigureAwait(false);
        }
        return new RetentionReport(dryRun, removed, kept, setAside, freed);
    }

    // 1. Artifacts: marking one lets its blobs go unless something else refers to them.

    private async Task<(List<RemovedFiles> Removed, List<KeptFiles> Kept, List<long> Ids)> RemoveFilesAsync(
        MetadataContext context, RetentionOptions options, UnfinishedJobs jobs, string by, bool dryRun, CancellationToken cancellationToken)
    {
        var (removed, kept, ids) = (new List<RemovedFiles>(), new List<KeptFiles>(), new List<long>());
        if (options.Days is not { } days)
            return (removed, kept, ids);
        var due = time.GetUtcNow() - TimeSpan.FromDays(days);
        var live = await LiveArtifacts.LoadAsync(context, jobs, cancellationToken).ConfigureAwait(false);
        var archived = await context.Artifacts.AsNoTracking().Include(row => row.Files)
            .Where(row => row.Stage == Stages.Archived && row.ArchivedAt <= due && row.FilesRemovedAt == null)
            .OrderBy(row => row.Id).ToListAsync(cancellationToken).ConfigureAwait(false);
        foreach (var artifact in archived)
        {
            var reference = $"{artifact.Name}@{artifact.Version}";
            if (live.ReasonFor(artifact.Id) is { } reason)
            {
                kept.Add(new KeptFiles(reference, reason));
                continue;
            }
            if (!dryRun && !await TryMarkAsync(context, artifact, by, days, cancellationToken).ConfigureAwait(false))
                continue; // deployed meanwhile: the next run says so
            removed.Add(new RemovedFiles(reference, artifact.Files.Count, artifact.Files.Sum(file => file.Size)));
            ids.Add(artifact.Id);
        }
        return (removed, kept, ids);
    }

    private async Task<bool> TryMarkAsync(MetadataContext context, ArtifactRow artifact, string by, int days, CancellationToken cancellationToken)
    {
        var reference = $"{artifact.Name}@{artifact.Version}";
        var now = time.GetUtcNow();
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            var marked = await context.Artifacts
                .Where(row => row.Id == artifact.Id && row.FilesRemovedAt == null && !context.Deployments.Any(d => d.Artifact == reference)
                    && !context.DeploymentAdapters.Any(a => a.Artifact == reference))
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.FilesRemovedAt, now), cancellationToken).ConfigureAwait(false);
            if (marked == 0)
                return false;
            var detail = new JsonObject { ["digest"] = artifact.Digest, ["files"] = artifact.Files.Count, ["days"] = days };
            await AuditAsync(context, by, "artifact.files_removed", reference, detail, cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
    }

    // 2. Blobs that nothing refers to.

    private async Task<BlobCount> SetAsideAsync(
        MetadataContext context, UnfinishedJobs jobs, List<long> removed, string by, bool dryRun, CancellationToken cancellationToken)
    {
        var (count, bytes) = (0, 0L);
        var old = time.GetUtcNow() - BlobUses.Grace;
        var stored = objects.ListAsync(BlobStore.Prefix, cancellationToken: cancellationToken).Where(blob => blob.ModifiedAt < old);
        await foreach (var batch in stored.Chunk(BatchSize).WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            var referred = await ReferredAsync(context, [.. batch.Select(DigestOf)], removed, cancellationToken).ConfigureAwait(false);
            foreach (var blob in batch.Where(blob => !referred.Contains(DigestOf(blob)) && jobs.Naming(DigestOf(blob)) is null))
            {
                if (!dryRun && !await TrySetAsideAsync(context, blob, by, cancellationToken).ConfigureAwait(false))
                    continue;
                count++;
                bytes += blob.Size;
            }
        }
        return new BlobCount(count, bytes);
    }

    /// <returns>False: somebody counts on it after all.</returns>
    private async Task<bool> TrySetAsideAsync(MetadataContext context, ObjectInfo blob, string by, CancellationToken cancellationToken)
    {
        var digest = DigestOf(blob);
        var old = time.GetUtcNow() - BlobUses.Grace;
        try
        {
            await objects.CopyAsync(blob.Key, BlobUses.AsideKeyOf(digest), cancellationToken).ConfigureAwait(false);
        }
        catch (FileNotFoundException)
        {
            return false; // another run set it aside
        }
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            // Writing the row makes claims of this blob wait until it is gone, or makes us wait until they are seen.
            await BlobUses.TouchAsync(context, digest, DateTimeOffset.UnixEpoch, cancellationToken).ConfigureAwait(false);
            var claimed = await context.BlobUses.AnyAsync(row => row.Sha256 == digest && row.At >= old, cancellationToken).ConfigureAwait(false);
            var referred = await ReferredAsync(context, [digest], [], cancellationToken).ConfigureAwait(false);
            var now = await objects.HeadAsync(blob.Key, cancellationToken).ConfigureAwait(false);
            if (now is null)
                return false; // another run set it aside: its copy is the only one
            if (claimed || referred.Count > 0 || now.ModifiedAt >= old)
            {
                await objects.DeleteAsync(BlobUses.AsideKeyOf(digest), cancellationToken).ConfigureAwait(false);
                return false;
            }
            await objects.DeleteAsync(blob.Key, cancellationToken).ConfigureAwait(false);
            await AuditAsync(context, by, "blob.set_aside", digest, new JsonObject { ["size"] = blob.Size }, cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
    }

    private async Task<BlobCount> FreeAsync(MetadataContext context, UnfinishedJobs jobs, bool dryRun, CancellationToken cancellationToken)
    {
        var (count, bytes) = (0, 0L);
        var old = time.GetUtcNow() - BlobUses.Grace;
        var aside = objects.ListAsync(BlobUses.AsidePrefix, cancellationToken: cancellationToken)
            .Where(blob => blob.ModifiedAt < old && !(jobs.Oldest < blob.ModifiedAt));
        await foreach (var blob in aside.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if ((await ReferredAsync(context, [DigestOf(blob)], [], cancellationToken).ConfigureAwait(false)).Count > 0)
                continue; // a claim took it back or will
            if (!dryRun)
                await objects.DeleteAsync(blob.Key, cancellationToken).ConfigureAwait(false);
            count++;
            bytes += blob.Size;
        }
        return new BlobCount(count, bytes);
    }

    /// <param name="removed">Artifacts that no longer count.</param>
    /// <returns>Those that artifacts with files, versions of datasets or uploaded files refer to.</returns>
    private static async Task<HashSet<string>> ReferredAsync(
        MetadataContext context, IReadOnlyList<string> digests, List<long> removed, CancellationToken cancellationToken)
    {
        var files =
            from file in context.ArtifactFiles
            join artifact in context.Artifacts on file.ArtifactId equals artifact.Id
            where digests.Contains(file.Sha256) && artifact.FilesRemovedAt == null && !removed.Contains(artifact.Id)
            select file.Sha256;
        var sources =
            from version in context.DatasetVersions
            where digests.Contains(version.SourceSha256)
            where !context.Artifacts.Any(artifact => artifact.Name + "@" + artifact.Version == version.Artifact
                && (artifact.FilesRemovedAt != null || removed.Contains(artifact.Id)))
            select version.SourceSha256;
        var uploads = context.Files.Where(file => digests.Contains(file.Sha256)).Select(file => file.Sha256);
        return [.. await files.Union(sources).Union(uploads).ToListAsync(cancellationToken).ConfigureAwait(false)];
    }

    private async Task AuditAsync(
        MetadataContext context, string by, string action, string subject, JsonObject detail, CancellationToken cancellationToken)
    {
        await audit.AddAsync(context, by, action, subject, JsonElement.Parse(detail.ToJsonString()), cancellationToken).ConfigureAwait(false);
        await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
        context.ChangeTracker.Clear();
    }

    private static string DigestOf(ObjectInfo blob) => blob.Key[(blob.Key.LastIndexOf('/') + 1)..];
}
