using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Signs, lists and finds artifacts.</summary>
/// <remarks>
/// An artifact exists once the database lists it. Its manifest is stored before: a crash between the two leaves an unlisted manifest,
/// which the same registration takes over when it is repeated.
/// </remarks>
public sealed class ArtifactRegistry(
    IDbContextFactory<MetadataContext> contexts, IObjectStore objects, SigningKey key, TrustedKeys trusted, TimeProvider time)
{
    private readonly ArtifactReader reader = new(objects, trusted);
    private readonly DraftRules rules = new(contexts, new BlobUses(contexts, objects, time));

    public async Task<Registration> RegisterAsync(ArtifactDraft draft, string createdBy, CancellationToken cancellationToken = default)
    {
        var createdAt = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
        var manifest = draft.ToManifest(createdBy, createdAt);
        var errors = await rules.CheckAsync(manifest, cancellationToken).ConfigureAwait(false);
        if (errors.Count > 0)
            return new Registration.Invalid(errors);
        return draft.Version is null
            ? await RegisterNextAsync(manifest, cancellationToken).ConfigureAwait(false)
            : await RegisterExactAsync(manifest, cancellationToken).ConfigureAwait(false);
    }

    /// <param name="reference"><c>name</c> (its latest version), <c>name@version</c> or <c>name:alias</c>.</param>
    /// <returns>Null when there is none.</returns>
    public async Task<ArtifactEntry?> GetAsync(string reference, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is { } row ? ToEntry(row) : null;
    }

    /// <summary>What a job registered under a name, so that the job's step can be repeated.</summary>
    /// <returns>Null when it has not yet.</returns>
    public async Task<ArtifactEntry?> FindMadeByAsync(string name, string job, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var rows = await context.Artifacts.AsNoTracking().Where(row => row.Name == name && row.Manifest.Contains(job))
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        return rows.Select(ToEntry).FirstOrDefault(entry => entry.Manifest.Attributes.GetValueOrDefault(ArtifactManifest.JobAttribute) == job);
    }

    /// <returns><c>name@version</c> for a <c>name:alias</c> that exists; anything else unchanged.</returns>
    public async Task<string> PinAliasAsync(string reference, CancellationToken cancellationToken = default) =>
        ArtifactReference.TryParse(reference) is { Alias: not null }
            ? (await GetAsync(reference, cancellationToken).ConfigureAwait(false))?.Manifest.Reference ?? reference
            : reference;

    /// <summary>In the order of registration.</summary>
    /// <param name="kind">Null: all kinds.</param>
    public async Task<IReadOnlyList<ArtifactEntry>> ListAsync(string? kind = null, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var rows = await context.Artifacts.AsNoTracking().Where(row => kind == null || row.Kind == kind).OrderBy(row => row.Id)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        return [.. rows.Select(ToEntry)];
    }

    /// <summary>
    /// What every consumer calls before it uses an artifact: the manifest and its ancestors, verified against what was recorded.
    /// </summary>
    public async Task<ArtifactLoad> UseAsync(string reference, CancellationToken cancellationToken = default)
    {
        if (await GetAsync(reference, cancellationToken).ConfigureAwait(false) is not { } listed)
            return new ArtifactLoad.NotFound(reference);
        var (name, version) = (listed.Manifest.Name, listed.Manifest.Version);
        return listed.FilesRemovedAt is { } at
            ? new ArtifactLoad.Refused(new VerificationFailure(listed.Manifest.Reference, VerificationChecks.Retention, Removed(at)))
            : await reader.LoadAsync(name, version, listed.Digest, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Every check, every byte of every file included.</summary>
    /// <returns>Null when there is no such artifact.</returns>
    public Task<VerificationReport?> VerifyAsync(string reference, CancellationToken cancellationToken = default) =>
        VerifyAsync(reference, deep: false, cancellationToken);

    /// <param name="deep">Also every byte of the ancestors' files.</param>
    /// <returns>Null when there is no such artifact.</returns>
    public async Task<VerificationReport?> VerifyAsync(string reference, bool deep, CancellationToken cancellationToken = default)
    {
        if (await GetAsync(reference, cancellationToken).ConfigureAwait(false) is not { } listed)
            return null;
        var (name, version) = (listed.Manifest.Name, listed.Manifest.Version);
        if (listed.FilesRemovedAt is not { } at)
            return await reader.VerifyAsync(name, version, listed.Digest, deep, cancellationToken).ConfigureAwait(false);
        var report = await reader.VerifyManifestsAsync(name, version, listed.Digest, cancellationToken).ConfigureAwait(false);
        var removed = new VerificationCheck(report.Artifact, VerificationChecks.Retention, Passed: false, Removed(at));
        return report with { Checks = [.. report.Checks, removed] };
    }

    internal static async Task<ArtifactRow?> FindAsync(MetadataContext context, string reference, CancellationToken cancellationToken)
    {
        if (ArtifactReference.TryParse(reference) is not { } parsed)
            return null;
        if (parsed.Alias is not null)
            return await context.Aliases.AsNoTracking().Where(row => row.Name == parsed.Name && row.Alias == parsed.Alias)
                .Select(row => row.Artifact).SingleOrDefaultAsync(cancellationToken).ConfigureAwait(false);
        var rows = context.Artifacts.AsNoTracking().Where(row => row.Name == parsed.Name);
        if (parsed.Version is not null)
            rows = rows.Where(row => row.Version == parsed.Version);
        return await rows.OrderByDescending(row => row.Id).FirstOrDefaultAsync(cancellationToken).ConfigureAwait(false);
    }

    internal static ArtifactEntry ToEntry(ArtifactRow row) =>
        new(JsonSerializer.Deserialize(row.Manifest, ManifestJson.Default.ArtifactManifest)!, row.Digest, row.Stage, row.FilesRemovedAt);

    private async Task<Registration> RegisterNextAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        for (var number = await NextNumberAsync(manifest.Name, cancellationToken).ConfigureAwait(false); ; number++)
        {
            var numbered = manifest with { Version = $"{number}" };
            var signed = SignedManifest.Sign(numbered, key);
            // Creating the manifest's object claims the number: parallel registrations, in other processes too, go on to the next one.
            if (!await PutAsync(numbered, signed, cancellationToken).ConfigureAwait(false))
                continue;
            await PutBundleAsync(numbered, cancellationToken).ConfigureAwait(false);
            if (await TryInsertAsync(numbered, signed.Digest, ParentsToList.All, cancellationToken).ConfigureAwait(false))
                return new Registration.Registered(numbered, signed.Digest);
        }
    }

    private async Task<Registration> RegisterExactAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var signed = SignedManifest.Sign(manifest, key);
        var digest = signed.Digest;
        if (!await PutAsync(manifest, signed, cancellationToken).ConfigureAwait(false))
        {
            var found = await reader.LoadAsync(manifest.Name, manifest.Version, cancellationToken: cancellationToken).ConfigureAwait(false);
            if (found is not ArtifactLoad.Verified { Artifact: var left } || !SameButForTime(left.Manifest, manifest))
                return new Registration.Conflict(manifest.Reference);
            (manifest, digest) = (left.Manifest, left.Digest);
        }
        await PutBundleAsync(manifest, cancellationToken).ConfigureAwait(false);
        return await TryInsertAsync(manifest, digest, ParentsToList.All, cancellationToken).ConfigureAwait(false)
            ? new Registration.Registered(manifest, digest)
            : new Registration.Conflict(manifest.Reference);
    }

    private async Task<long> NextNumberAsync(string name, CancellationToken cancellationToken)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var versions = await context.Artifacts.Where(row => row.Name == name).Select(row => row.Version)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        return 1 + versions.Select(version => int.TryParse(version, out var number) ? (long)number : 0).DefaultIfEmpty().Max();
    }

    private async Task<bool> PutAsync(ArtifactManifest manifest, SignedManifest signed, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream(signed.ToJson());
        var objectKey = SignedManifest.KeyOf(manifest.Name, manifest.Version);
        return await objects.PutAsync(objectKey, content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>After the manifest, which claims the version, and before the database lists it: a listed artifact has its bundle.</summary>
    private async Task PutBundleAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        if (OmsFormat.Sign(manifest, key.Current) is not { } bundle)
            return;
        using var content = new MemoryStream(bundle);
        await objects.PutAsync(OmsFormat.KeyOf(manifest.Name, manifest.Version), content, PutMode.IfAbsent, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <returns>False when this version is listed already.</returns>
    internal async Task<bool> TryInsertAsync(
        ArtifactManifest manifest, string digest, ParentsToList parents, CancellationToken cancellationToken)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        context.Artifacts.Add(await ToRowAsync(context, manifest, digest, parents, cancellationToken).ConfigureAwait(false));
        try
        {
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (DbUpdateException)
        {
            var listed = await context.Artifacts
                .AnyAsync(row => row.Name == manifest.Name && row.Version == manifest.Version, cancellationToken).ConfigureAwait(false);
            if (!listed)
                throw;
            return false;
        }
    }

    private static async Task<ArtifactRow> ToRowAsync(
        MetadataContext context, ArtifactManifest manifest, string digest, ParentsToList parents, CancellationToken cancellationToken)
    {
        var edges = new List<ArtifactEdgeRow>();
        foreach (var parent in manifest.Parents)
        {
            if (await FindAsync(context, parent.Artifact, cancellationToken).ConfigureAwait(false) is { } row)
                edges.Add(new ArtifactEdgeRow { Role = parent.Role, ParentId = row.Id });
            else if (parents == ParentsToList.All)
                throw new InvalidOperationException($"The parent {parent.Artifact} of {manifest.Reference} is no longer listed.");
        }
        return new ArtifactRow
        {
            Name = manifest.Name,
            Version = manifest.Version,
            Kind = manifest.Kind,
            Stage = Stages.Dev,
            Digest = digest,
            Manifest = Encoding.UTF8.GetString(manifest.ToCanonicalBytes()),
            CreatedBy = manifest.CreatedBy,
            CreatedAt = manifest.CreatedAt,
            Files = [.. manifest.Files.Select(file => new ArtifactFileRow { Path = file.Path, Size = file.Size, Sha256 = file.Sha256 })],
            Parents = edges,
        };
    }

    private static string Removed(DateTimeOffset at) => $"files removed by retention on {at.UtcDateTime:yyyy-MM-dd}; the manifest stays.";

    private static bool SameButForTime(ArtifactManifest left, ArtifactManifest right) =>
        left.ToCanonicalBytes().AsSpan().SequenceEqual((right with { CreatedAt = left.CreatedAt }).ToCanonicalBytes());
}

/// <summary>Which parents the database must list.</summary>
internal enum ParentsToList
{
    All,

    /// <summary>Those that are here: what was imported brings its ancestors' manifests, not the ancestors.</summary>
    Listed,
}
