using System.Security.Cryptography;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Content that is stored but is no blob yet: it is gone when this is disposed, unless it was kept.</summary>
public sealed class StagedBlob : IAsyncDisposable
{
    private readonly IObjectStore objects;
    private readonly string key;

    internal StagedBlob(IObjectStore objects, string key, string sha256, long size) => (this.objects, this.key, Sha256, Size) = (objects, key, sha256, size);

    public string Sha256 { get; }

    /// <summary>Bytes.</summary>
    public long Size { get; }

    public async Task<Stream> OpenAsync(CancellationToken cancellationToken = default) =>
        await objects.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false)
        ?? throw new IOException($"The staged object {key} was deleted while it was in use.");

    /// <summary>Makes it a blob. One of the same content is written again: whoever refers to it has as long for that as with a new one.</summary>
    public Task KeepAsync(CancellationToken cancellationToken = default) => objects.CopyAsync(key, BlobStore.KeyOf(Sha256), cancellationToken);

    /// <summary>Not canceled with what it was staged for: nothing is to be left.</summary>
    public async ValueTask DisposeAsync() => await objects.DeleteAsync(key, CancellationToken.None).ConfigureAwait(false);
}

/// <summary>Content has more bytes than its receiver takes.</summary>
public sealed class ContentTooLongException(long longest) : IOException($"The content has more than {longest} bytes.")
{
    /// <summary>Bytes.</summary>
    public long Longest { get; } = longest;
}

/// <summary>Reads a stream up to a length, and knows its SHA-256 at the end.</summary>
internal sealed class HashingStream(Stream inner, long longest) : Stream
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long BytesRead { get; private set; }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Of all that was read, hex, lower case.</summary>
    public string Digest() => Convert.ToHexStringLower(hash.GetCurrentHash());

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        return Take(buffer.Span[..read]);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var read = inner.Read(buffer);
        return Take(buffer[..read]);
    }

    public override void Flush() => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            hash.Dispose();
        base.Dispose(disposing);
    }

    private int Take(ReadOnlySpan<byte> read)
    {
        hash.AppendData(read);
        BytesRead += read.Length;
        return BytesRead <= longest ? read.Length : throw new ContentTooLongException(longest);
    }
}
