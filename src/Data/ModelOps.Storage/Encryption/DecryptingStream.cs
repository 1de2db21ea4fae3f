using System.Buffers;
using System.Security.Cryptography;

namespace ModelOps.Storage;

/// <summary>Reads the plaintext of stored chunks, each only once its tag was checked. It owns the stored stream.</summary>
internal sealed class DecryptingStream : ReadOnlyStream
{
    private readonly string key;
    private readonly Stream stored;
    private readonly AesGcm aes;
    private byte[] sealedBytes = ArrayPool<byte>.Shared.Rent(EncryptedFormat.StoredChunkBytes + 1);
    private byte[] plain = ArrayPool<byte>.Shared.Rent(EncryptedFormat.ChunkBytes);
    private int held; // of sealedBytes
    private int taken; // of plain
    private int ready;
    private long chunk;
    private long skip;
    private long left;
    private bool ended;
    private ObjectIntegrityException? fault;

    /// <param name="stored">The stored bytes from a chunk's first on, at least up to one byte behind the last chunk wanted.</param>
    /// <param name="offset">First byte of plaintext wanted; it is in the chunk that the stream begins with.</param>
    /// <param name="length">Bytes of plaintext wanted.</param>
    public DecryptingStream(string key, Stream stored, byte[] dataKey, long offset, long length)
    {
        this.key = key;
        this.stored = stored;
        aes = new AesGcm(dataKey, EncryptedFormat.TagBytes);
        (chunk, skip) = Math.DivRem(offset, EncryptedFormat.ChunkBytes);
        left = length;
    }

    /// <summary>Reads and checks the first chunk.</summary>
    /// <returns>false: the stored stream is empty.</returns>
    /// <exception cref="ObjectIntegrityException">The chunk was changed, or the object was cut or lengthened.</exception>
    public async Task<bool> BeginAsync(CancellationToken cancellationToken)
    {
        await FillAsync(cancellationToken).ConfigureAwait(false);
        if (held == 0) return false;
        Open();
        return true;
    }

    public override int Read(Span<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(plain.Length == 0, this);
        while (NeedsChunk)
        {
            held += stored.ReadAtLeast(sealedBytes.AsSpan(held, Wanted), Wanted, throwOnEndOfStream: false);
            Open();
        }
        return Take(buffer);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(plain.Length == 0, this);
        while (NeedsChunk)
        {
            await FillAsync(cancellationToken).ConfigureAwait(false);
            Open();
        }
        return Take(buffer.Span);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && plain.Length > 0)
        {
            stored.Dispose();
            aes.Dispose();
            ArrayPool<byte>.Shared.Return(plain, clearArray: true);
            ArrayPool<byte>.Shared.Return(sealedBytes);
            (plain, sealedBytes) = ([], []);
        }
        base.Dispose(disposing);
    }

    private bool NeedsChunk => taken == ready && !ended && left > 0;

    // One byte more than a chunk shows whether it is the last.
    private int Wanted => EncryptedFormat.StoredChunkBytes + 1 - held;

    private async ValueTask FillAsync(CancellationToken cancellationToken) =>
        held += await stored.ReadAtLeastAsync(sealedBytes.AsMemory(held, Wanted), Wanted, throwOnEndOfStream: false, cancellationToken)
            .ConfigureAwait(false);

    private void Open()
    {
        if (fault is not null) throw new ObjectIntegrityException(key, Changed, fault); // whoever reads on after a fault gets it again
        ended = held <= EncryptedFormat.StoredChunkBytes;
        var size = Math.Min(held, EncryptedFormat.StoredChunkBytes) - EncryptedFormat.TagBytes;
        try
        {
            if (size < 0 || (size == 0 && chunk > 0)) throw new AuthenticationTagMismatchException("the chunk is not whole");
            Span<byte> nonce = stackalloc byte[EncryptedFormat.NonceBytes];
            EncryptedFormat.WriteNonce(nonce, chunk, ended);
            aes.Decrypt(nonce, sealedBytes.AsSpan(0, size), sealedBytes.AsSpan(size, EncryptedFormat.TagBytes), plain.AsSpan(0, size), EncryptedFormat.Magic);
        }
        catch (AuthenticationTagMismatchException e)
        {
            ended = false;
            throw fault = new ObjectIntegrityException(key, Changed, e);
        }
        chunk++;
        sealedBytes[0] = sealedBytes[EncryptedFormat.StoredChunkBytes];
        held = ended ? 0 : 1;
        taken = (int)Math.Min(skip, size);
        skip = 0;
        ready = size;
    }

    private string Changed => $"it was changed at or after byte {chunk * EncryptedFormat.ChunkBytes}";

    private int Take(Span<byte> buffer)
    {
        var size = (int)Math.Min(Math.Min(buffer.Length, ready - taken), left);
        plain.AsSpan(taken, size).CopyTo(buffer);
        taken += size;
        left -= size;
        return size;
    }
}
