using Microsoft.EntityFrameworkCore;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>When somebody last counted on a blob that nothing refers to yet.</summary>
public sealed class BlobUseRow
{
    public required string Sha256 { get; set; }
    public required DateTimeOffset At { get; set; }
}

/// <summary>
/// How those who are about to refer to stored blobs keep them from being collected. A claim is a row in the database; the collector
/// deletes a blob in a transaction that writes the same row, so one of the two comes first: the collector then sees the claim, or
/// the claimer sees that the blob is gone.
/// </summary>
public sealed class BlobUses(IDbContextFactory<MetadataContext> contexts, IObjectStore objects, TimeProvider time)
{
    /// <summary>How long a blob that nothing refers to is kept after it was stored or claimed.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromHours(24);

    /// <summary>Blobs stored more recently need no claim: half of the grace is left to refer to them.</summary>
    private static readonly TimeSpan young = Grace / 2;

    /// <summary>Keeps those that are stored for half of <see cref="Grace"/> at least; one that was set aside comes back.</summary>
    /// <returns>Bytes by digest; those that are not stored are left out.</returns>
    public async Task<IReadOnlyDictionary<string, long>> ClaimAsync(
        IReadOnlyCollection<string> digests, CancellationToken cancellationToken = default)
    {
        var sizes = new Dictionary<string, long>();
        var old = new List<string>();
        foreach (var digest in digests.Distinct())
        {
            var blob = await objects.HeadAsync(BlobStore.KeyOf(digest), cancellationToken).ConfigureAwait(false);
            if (blob?.ModifiedAt <= time.GetUtcNow() - young)
                old.Add(digest);
            else if ((blob?.Size ?? await TakeBackAsync(digest, cancellationToken).ConfigureAwait(false)) is { } size)
                sizes[digest] = size;
        }
        if (old.Count == 0)
            return sizes;
        await RecordAsync(old, cancellationToken).ConfigureAwait(false);
        foreach (var digest in old)
        {
            var blob = await objects.HeadAsync(BlobStore.KeyOf(digest), cancellationToken).ConfigureAwait(false);
            if ((blob?.Size ?? await TakeBackAsync(digest, cancellationToken).ConfigureAwait(false)) is { } size)
                sizes[digest] = size;
        }
        return sizes;
    }

    /// <returns>Bytes; null when it is not stored.</returns>
    public async Task<long?> ClaimAsync(string digest, CancellationToken cancellationToken = default) =>
        (await ClaimAsync([digest], cancellationToken).ConfigureAwait(false)).TryGetValue(digest, out var size) ? size : null;

    /// <summary>Where a collected blob waits before it is gone for good.</summary>
    internal static string AsideKeyOf(string sha256) => $"{AsidePrefix}{sha256[..2]}/{sha256}";

    internal const string AsidePrefix = "artifacts/aside/sha256/";

    private async Task RecordAsync(List<string> digests, CancellationToken cancellationToken)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            // In one order, so that two transactions never wait for each other.
            foreach (var digest in digests.Order(StringComparer.Ordinal))
                await TouchAsync(context, digest, time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes the blob's row; whoever else writes it waits for the end of the transaction.</summary>
    internal static Task TouchAsync(MetadataContext context, string digest, DateTimeOffset at, CancellationToken cancellationToken)
    {
        var milliseconds = at.ToUnixTimeMilliseconds();
        return context.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO blob_uses (sha256, at) VALUES ({digest}, {milliseconds})
             ON CONFLICT (sha256) DO UPDATE SET at = CASE WHEN excluded.at > blob_uses.at THEN excluded.at ELSE blob_uses.at END
             """,
            cancellationToken);
    }

    /// <summary>Brings back a blob that was set aside; it is young again.</summary>
    /// <returns>Bytes; null when it is not there either.</returns>
    private async Task<long?> TakeBackAsync(string digest, CancellationToken cancellationToken)
    {
        if (await objects.HeadAsync(AsideKeyOf(digest), cancellationToken).ConfigureAwait(false) is not null)
        {
            try
            {
                await objects.CopyAsync(AsideKeyOf(digest), BlobStore.KeyOf(digest), cancellationToken).ConfigureAwait(false);
            }
            catch (FileNotFoundException)
            {
                // Another claim took it back meanwhile, or it is gone for good.
            }
        }
        return (await objects.HeadAsync(BlobStore.KeyOf(digest), cancellationToken).ConfigureAwait(false))?.Size;
    }
}
