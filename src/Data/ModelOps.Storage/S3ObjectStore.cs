using System.Net;
using System.Runtime.CompilerServices;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace ModelOps.Storage;

/// <summary>
/// Objects in a bucket of S3 or MinIO. A put that fits one part is one request; a longer one is a multipart upload, aborted when it fails,
/// of at most 10,000 parts (156 GiB). The client stays the caller's.
/// </summary>
/// <param name="prefix">What the store's keys begin with in the bucket; empty, or ending with '/'.</param>
public sealed class S3ObjectStore(IAmazonS3 client, string bucket, string prefix = "") : IObjectStore
{
    private const int PartBytes = 16 << 20;
    private const int FirstBytes = 64 << 10;
    private const long MaxCopyBytes = 5L << 30; // of one CopyObject
    private const int ConflictAttempts = 5;
    private const string PutIdHeader = "put-id";

    public async Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default)
    {
        var put = new Put(NameOf(key), mode, Guid.NewGuid().ToString("N"));
        var (first, length) = await FirstPartAsync(content, cancellationToken).ConfigureAwait(false);
        return length < first.Length
            ? await PutWholeAsync(put, first, length, cancellationToken).ConfigureAwait(false)
            : await PutPartsAsync(put, first, content, cancellationToken).ConfigureAwait(false);
    }

    public async Task<Stream?> OpenReadAsync(
        string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default)
    {
        var name = NameOf(key);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (length is { } wanted) ArgumentOutOfRangeException.ThrowIfNegative(wanted, nameof(length));
        if (length == 0) return await HeadAsync(key, cancellationToken).ConfigureAwait(false) is null ? null : Stream.Null;
        var request = new GetObjectRequest { BucketName = bucket, Key = name };
        if (offset > 0 || length is not null) request.ByteRange = RangeOf(offset, length);
        try
        {
            var response = await client.GetObjectAsync(request, cancellationToken).ConfigureAwait(false);
            return new ServiceStream(response.ResponseStream, e => IsOfService(e) || e is IOException, e => Failure("read", name, e));
        }
        catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return Stream.Null; // the range begins at or after the end
        }
        catch (AmazonS3Exception e) when (IsNoObject(e))
        {
            return null;
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("read", name, e);
        }
    }

    public async Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default)
    {
        var found = await MetadataAsync(NameOf(key), cancellationToken).ConfigureAwait(false);
        return found is null ? null : new ObjectInfo(key, found.ContentLength, At(found.LastModified));
    }

    public IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, CancellationToken cancellationToken = default)
    {
        ObjectKey.CheckPrefix(prefix);
        return PagesAsync(prefix, startAfter, cancellationToken);
    }

    /// <returns>As the object was just before: of two that delete at once, both may be told true.</returns>
    public async Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        if (await HeadAsync(key, cancellationToken).ConfigureAwait(false) is null) return false;
        try
        {
            await client.DeleteObjectAsync(bucket, NameOf(key), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("deleted", NameOf(key), e);
        }
    }

    public async Task CopyAsync(string from, string to, CancellationToken cancellationToken = default)
    {
        var (sourceName, targetName) = (NameOf(from), NameOf(to));
        var source = await HeadAsync(from, cancellationToken).ConfigureAwait(false) ?? throw NothingToCopy(from);
        if (source.Size > MaxCopyBytes)
        {
            var content = await OpenReadAsync(from, cancellationToken: cancellationToken).ConfigureAwait(false)
                ?? throw NothingToCopy(from);
            await using (content.ConfigureAwait(false))
                await PutAsync(to, content, PutMode.Replace, cancellationToken).ConfigureAwait(false);
            return;
        }
        try
        {
            await client.CopyObjectAsync(bucket, sourceName, bucket, targetName, cancellationToken).ConfigureAwait(false);
        }
        catch (AmazonS3Exception e) when (IsNoObject(e))
        {
            throw NothingToCopy(from);
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("copied", sourceName, e);
        }
    }

    public string? LocalPath(string key)
    {
        ObjectKey.Check(key);
        return null;
    }

    public async Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default)
    {
        var name = NameOf(key);
        PresignedUrl.CheckValidity(validity);
        cancellationToken.ThrowIfCancellationRequested();
        // A little less than asked for: the SDK reads the clock again, and what exceeds seven days for it gets a signature that newer regions refuse.
        var margin = TimeSpan.FromTicks(Math.Min(validity.Ticks / 100, TimeSpan.FromSeconds(5).Ticks));
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        var plain = client.Config.ServiceURL?.StartsWith("http:", StringComparison.OrdinalIgnoreCase) == true;
        var request = new GetPreSignedUrlRequest
        {
            BucketName = bucket,
            Key = name,
            Verb = HttpVerb.GET,
            Expires = now + validity - margin,
            Protocol = plain ? Protocol.HTTP : Protocol.HTTPS,
        };
        try
        {
            return new(await client.GetPreSignedURLAsync(request).ConfigureAwait(false));
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("signed for", name, e);
        }
    }

    /// <summary>The object's name in the bucket, which has room for 1,024 bytes with the prefix.</summary>
    private string NameOf(string key)
    {
        ObjectKey.Check(key);
        if (prefix.Length > 0) ObjectKey.Check(prefix + key);
        return prefix + key;
    }

    /// <summary>As much as one part takes, in a buffer that grows: most objects are commits and configurations of some hundred bytes.</summary>
    /// <returns>A buffer that is not full where the content ends in it.</returns>
    private static async Task<(byte[] Buffer, int Length)> FirstPartAsync(Stream content, CancellationToken cancellationToken)
    {
        var buffer = new byte[FirstBytes];
        for (var length = 0; ;)
        {
            length += await content.ReadAtLeastAsync(buffer.AsMemory(length), buffer.Length - length, throwOnEndOfStream: false, cancellationToken)
                .ConfigureAwait(false);
            if (length < buffer.Length || length == PartBytes) return (buffer, length);
            Array.Resize(ref buffer, Math.Min(buffer.Length * 4, PartBytes));
        }
    }

    /// <param name="Key">In the bucket, with the prefix.</param>
    /// <param name="Id">Stands in the object's metadata, so that a put whose answer was lost knows its own object.</param>
    private sealed record Put(string Key, PutMode Mode, string Id)
    {
        public string? IfNoneMatch => Mode == PutMode.IfAbsent ? "*" : null;
    }

    private async Task<bool> PutWholeAsync(Put put, byte[] content, int length, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            using var body = new MemoryStream(content, 0, length, writable: false);
            var request = new PutObjectRequest { BucketName = bucket, Key = put.Key, InputStream = body, IfNoneMatch = put.IfNoneMatch };
            request.Metadata[PutIdHeader] = put.Id;
            try
            {
                await client.PutObjectAsync(request, cancellationToken).ConfigureAwait(false);
                return true;
            }
            catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.PreconditionFailed)
            {
                return await IsOursAsync(put, cancellationToken).ConfigureAwait(false);
            }
            catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.Conflict && attempt < ConflictAttempts)
            {
                // Another put of the key is under way: the next attempt learns how it ended.
            }
            catch (Exception e) when (IsOfService(e))
            {
                throw Failure("put", put.Key, e);
            }
        }
    }

    private async Task<bool> PutPartsAsync(Put put, byte[] part, Stream content, CancellationToken cancellationToken)
    {
        var start = new InitiateMultipartUploadRequest { BucketName = bucket, Key = put.Key };
        start.Metadata[PutIdHeader] = put.Id;
        string? upload = null;
        try
        {
            upload = (await client.InitiateMultipartUploadAsync(start, cancellationToken).ConfigureAwait(false)).UploadId;
            var parts = await UploadPartsAsync(put.Key, upload, part, content, cancellationToken).ConfigureAwait(false);
            var complete = new CompleteMultipartUploadRequest
            {
                BucketName = bucket,
                Key = put.Key,
                UploadId = upload,
                PartETags = parts,
                IfNoneMatch = put.IfNoneMatch,
            };
            await client.CompleteMultipartUploadAsync(complete, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (AmazonS3Exception e) when (e.StatusCode is HttpStatusCode.PreconditionFailed or HttpStatusCode.NotFound)
        {
            // Not found: no such bucket, or no such upload any more, because a completion whose answer was lost ended it.
            if (await IsOursAsync(put, cancellationToken).ConfigureAwait(false)) return true;
            await AbortAsync(put.Key, upload).ConfigureAwait(false);
            return e.StatusCode == HttpStatusCode.PreconditionFailed ? false : throw Failure("put", put.Key, e);
        }
        catch (Exception e)
        {
            await AbortAsync(put.Key, upload).ConfigureAwait(false);
            if (IsOfService(e)) throw Failure("put", put.Key, e);
            throw;
        }
    }

    private async Task<List<PartETag>> UploadPartsAsync(
        string key, string upload, byte[] part, Stream content, CancellationToken cancellationToken)
    {
        var parts = new List<PartETag>();
        for (var length = part.Length; length > 0;)
        {
            using var body = new MemoryStream(part, 0, length, writable: false);
            var request = new UploadPartRequest
            {
                BucketName = bucket,
                Key = key,
                UploadId = upload,
                PartNumber = parts.Count + 1,
                InputStream = body,
                PartSize = length,
            };
            parts.Add(new(await client.UploadPartAsync(request, cancellationToken).ConfigureAwait(false)));
            length = await content.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        }
        return parts;
    }

    /// <summary>Parts of an unfinished upload are stored, and paid, until then. Best effort: the caller must see the cause.</summary>
    private async Task AbortAsync(string key, string? upload)
    {
        if (upload is null) return;
        try
        {
            await client.AbortMultipartUploadAsync(bucket, key, upload, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (IsOfService(e))
        {
            // The bucket's lifecycle rule for unfinished uploads removes it.
        }
    }

    /// <summary>The client repeats a request whose answer was lost; the repetition then finds the first one's object.</summary>
    private async Task<bool> IsOursAsync(Put put, CancellationToken cancellationToken)
    {
        var found = await MetadataAsync(put.Key, cancellationToken).ConfigureAwait(false);
        return found?.Metadata[PutIdHeader] == put.Id;
    }

    private async Task<GetObjectMetadataResponse?> MetadataAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await client.GetObjectMetadataAsync(bucket, key, cancellationToken).ConfigureAwait(false);
        }
        catch (AmazonS3Exception e) when (IsNoObject(e))
        {
            return null;
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("looked up", key, e);
        }
    }

    private async IAsyncEnumerable<ObjectInfo> PagesAsync(
        string keyPrefix, string? startAfter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListObjectsV2Request
        {
            BucketName = bucket,
            Prefix = prefix + keyPrefix,
            StartAfter = startAfter is null ? null : prefix + startAfter,
        };
        ListObjectsV2Response page;
        do
        {
            page = await PageAsync(request, cancellationToken).ConfigureAwait(false);
            foreach (var found in page.S3Objects ?? [])
                yield return new ObjectInfo(found.Key[prefix.Length..], found.Size ?? 0, At(found.LastModified));
            request.ContinuationToken = page.NextContinuationToken;
        }
        while (page.IsTruncated == true);
    }

    private async Task<ListObjectsV2Response> PageAsync(ListObjectsV2Request request, CancellationToken cancellationToken)
    {
        try
        {
            return await client.ListObjectsV2Async(request, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (IsOfService(e))
        {
            throw Failure("listed", request.Prefix, e);
        }
    }

    private static ByteRange RangeOf(long offset, long? length) =>
        length is { } bytes && bytes <= long.MaxValue - offset ? new(offset, offset + bytes - 1) : new($"bytes={offset}-");

    private static DateTimeOffset At(DateTime? modified) => modified?.ToUniversalTime() ?? DateTimeOffset.UnixEpoch;

    private static bool IsNoObject(AmazonS3Exception e) => e.StatusCode == HttpStatusCode.NotFound && e.ErrorCode != "NoSuchBucket";

    private static bool IsOfService(Exception e) => e is AmazonServiceException or AmazonClientException or HttpRequestException;

    private static FileNotFoundException NothingToCopy(string key) => new($"there is no object {key}", key);

    private ObjectStoreException Failure(string action, string key, Exception cause) =>
        new($"{key} cannot be {action} in bucket {bucket} at {client.Config.ServiceURL}: {cause.Message}", cause);
}
