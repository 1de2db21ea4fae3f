using System.Buffers;
using System.Security.Cryptography;

namespace ModelOps.Storage;

/// <summary>Reads plaintext as the chunks of an encrypted object. The plaintext stays the caller's.</summary>
internal sealed class EncryptingStream(Stream content, byte[] dataKey) : ReadOnlyStream
{
    private readonly AesGcm aes = new(dataKey, EncryptedFormat.TagBytes);
    private byte[] plain = ArrayPool<byte>.Shared.Rent(EncryptedFormat.ChunkBytes + 1);
    private byte[] sealedBytes = ArrayPool<byte>.Shared.Rent(EncryptedFormat.StoredChunkBytes);
    private int held; // of plain
    private int taken; // of sealedBytes
    private int ready;
    private long chunk;
    private bool ended;

    public override int Read(Span<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(plain.Length == 0, this);
        if (NeedsChunk)
        {
            held += content.ReadAtLeast(plain.AsSpan(held, Wanted), Wanted, throwOnEndOfStream: false);
            Seal();
        }
        return Take(buffer);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(plain.Length == 0, this);
        if (NeedsChunk)
        {
            held += await content.ReadAtLeastAsync(plain.AsMemory(held, Wanted), Wanted, throwOnEndOfStream: false, cancellationToken)
                .ConfigureAwait(false);
            Seal();
        }
        return Take(buffer.Span);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && plain.Length > 0)
        {
            aes.Dispose();
            ArrayPool<byte>.Shared.Return(plain, clearArray: true);
            ArrayPool<byte>.Shared.Return(sealedBytes);
            (plain, sealedBytes) = ([], []);
        }
        base.Dispose(disposing);
    }

    private bool NeedsChunk => taken == ready && !ended;

    // One byte more than a chunk shows whether it is the last.
    private int Wanted => EncryptedFormat.ChunkBytes + 1 - held;

    private void Seal()
    {
        ended = held <= EncryptedFormat.ChunkBytes;
        var size = Math.Min(held, EncryptedFormat.ChunkBytes);
        Span<byte> nonce = stackalloc byte[EncryptedFormat.NonceBytes];
        EncryptedFormat.WriteNonce(nonce, chunk++, ended);
        aes.Encrypt(nonce, plain.AsSpan(0, size), sealedBytes.AsSpan(0, size), sealedBytes.AsSpan(size, EncryptedFormat.TagBytes), EncryptedFormat.Magic);
        plain[0] = plain[EncryptedFormat.ChunkBytes];
        (held, taken, ready) = (held - size, 0, size + EncryptedFormat.TagBytes);
    }

    private int Take(Span<byte> buffer)
    {
        var size = Math.Min(buffer.Length, ready - taken);
        sealedBytes.AsSpan(taken, size).CopyTo(buffer);
        taken += size;
        return size;
    }
}
