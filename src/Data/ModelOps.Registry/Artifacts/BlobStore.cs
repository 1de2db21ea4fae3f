using System.Security.Cryptography;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Content-addressed files: each is stored once, under the SHA-256 (hex, lower case) of its bytes.</summary>
public sealed class BlobStore(IObjectStore objects)
{
    internal const string Prefix = "artifacts/blobs/sha256/";

    private const string Uploads = "artifacts/uploads/";
    private static readonly TimeSpan longestUpload = TimeSpan.FromDays(1);

    public static string KeyOf(string sha256) => ManifestRules.IsDigest(sha256)
        ? $"{Prefix}{sha256[..2]}/{sha256}"
        : throw new ArgumentException($"'{sha256}' is not 64 lower-case hex digits.", nameof(sha256));

    /// <summary>Stores while checking; content that is stored already is not read.</summary>
    public async Task<PutBlob> PutAsync(string sha256, Stream content, CancellationToken cancellationToken = default)
    {
        var key = KeyOf(sha256);
        if (await SizeAsync(sha256, cancellationToken).ConfigureAwait(false) is { } size)
            return new PutBlob.AlreadyStored(size);

        using var verifying = new VerifyingStream(content, sha256);
        try
        {
            if (await objects.PutAsync(key, verifying, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false))
                return new PutBlob.Stored(verifying.BytesRead);
            // Another upload of the same content was faster; the store may not have read ours.
            return new PutBlob.AlreadyStored(await SizeAsync(sha256, cancellationToken).ConfigureAwait(false)
                ?? throw new IOException($"The blob {sha256} was deleted while it was being stored. Store it again."));
        }
        catch (DigestMismatchException mismatch)
        {
            return new PutBlob.Mismatch(sha256, mismatch.Actual);
        }
    }

    /// <summary>Takes content whose digest nobody knows yet. It is no blob before it is kept.</summary>
    /// <exception cref="ContentTooLongException">It has more than <paramref name="longest"/> bytes; nothing was stored.</exception>
    public async Task<StagedBlob> StageAsync(Stream content, long longest = long.MaxValue, CancellationToken cancellationToken = default)
    {
        var key = $"{Uploads}{Guid.NewGuid():N}";
        using var hashing = new HashingStream(content, longest);
        await objects.PutAsync(key, hashing, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
        return new StagedBlob(objects, key, hashing.Digest(), hashing.BytesRead);
    }

    /// <summary>Removes what was staged by processes that were killed before they kept it or let it go.</summary>
    /// <param name="now">What is a day older than this is abandoned.</param>
    public async Task SweepStagedAsync(DateTimeOffset now, CancellationToken cancellationToken = default)
    {
        var abandoned = objects.ListAsync(Uploads, cancellationToken: cancellationToken).Where(staged => staged.ModifiedAt < now - longestUpload);
        await foreach (var staged in abandoned.ConfigureAwait(false)) await objects.DeleteAsync(staged.Key, cancellationToken).ConfigureAwait(false);
    }

    /// <exception cref="IOException">The file changed between hashing and storing.</exception>
    public async Task<StoredBlob> PutFileAsync(string path, CancellationToken cancellationToken = default)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
        var sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
        file.Position = 0;
        return await PutAsync(sha256, file, cancellationToken).ConfigureAwait(false) switch
        {
            PutBlob.Stored stored => new StoredBlob(sha256, stored.Size),
            PutBlob.AlreadyStored stored => new StoredBlob(sha256, stored.Size),
            _ => throw new IOException($"{path} changed while it was being stored. Store it again when nothing writes to it."),
        };
    }

    /// <returns>Bytes; null when it is not stored.</returns>
    public async Task<long?> SizeAsync(string sha256, CancellationToken cancellationToken = default) =>
        (await objects.HeadAsync(KeyOf(sha256), cancellationToken).ConfigureAwait(false))?.Size;

    public async Task<bool> ExistsAsync(string sha256, CancellationToken cancellationToken = default) =>
        await SizeAsync(sha256, cancellationToken).ConfigureAwait(false) is not null;

    /// <returns>The bytes as stored, unverified; null when there is no such blob.</returns>
    public Task<Stream?> OpenAsync(string sha256, CancellationToken cancellationToken = default) =>
        objects.OpenReadAsync(KeyOf(sha256), cancellationToken: cancellationToken);
}

/// <param name="Size">Bytes.</param>
public sealed record StoredBlob(string Sha256, long Size);

public abstract record PutBlob
{
    private PutBlob()
    {
    }

    public sealed record Stored(long Size) : PutBlob;

    public sealed record AlreadyStored(long Size) : PutBlob;

    /// <summary>The content is not what its digest announced; nothing was stored.</summary>
    public sealed record Mismatch(string Expected, string Actual) : PutBlob;
}
