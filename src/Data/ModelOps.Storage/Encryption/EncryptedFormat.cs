using System.Buffers.Binary;

namespace ModelOps.Storage;

/// <summary>
/// An encrypted object: a header (magic and version 8, key id 16, nonce 12, wrapped data key 32, tag 16 bytes), then chunks of 64 KiB of
/// plaintext and a tag of 16 bytes each. Only the last chunk is shorter, and only an empty object's is empty. Every object has a random data
/// key of its own; a chunk's nonce is its index and whether it is the last, so that chunks can't be reordered, dropped, added or taken from
/// another object: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse
/// Misuse-Resistance, 2015).
/// </summary>
internal static class EncryptedFormat
{
    public const int KeyBytes = 32;
    public const int NonceBytes = 12;
    public const int TagBytes = 16;
    public const int KeyIdBytes = 16;
    public const int ChunkBytes = 64 << 10;
    public const int StoredChunkBytes = ChunkBytes + TagBytes;

    public const int KeyIdAt = 8;
    public const int NonceAt = KeyIdAt + KeyIdBytes;
    public const int DataKeyAt = NonceAt + NonceBytes;
    public const int TagAt = DataKeyAt + KeyBytes;
    public const int HeaderBytes = TagAt + TagBytes;

    /// <summary>Bound to every chunk. The rest of the header is bound by the data key in it, and changes when a master key does.</summary>
    public static ReadOnlySpan<byte> Magic => "MOPSENC\u0001"u8;

    /// <summary>Where a chunk begins in the stored object.</summary>
    public static long At(long chunk) => HeaderBytes + (chunk * StoredChunkBytes);

    public static void WriteNonce(Span<byte> nonce, long chunk, bool last)
    {
        nonce.Clear();
        BinaryPrimitives.WriteInt64BigEndian(nonce[3..], chunk);
        nonce[NonceBytes - 1] = last ? (byte)1 : (byte)0;
    }

    /// <returns>Bytes of plaintext; null: no encrypted object is that long.</returns>
    public static long? PlainSize(long stored)
    {
        var (whole, rest) = Math.DivRem(stored - HeaderBytes, StoredChunkBytes);
        if (stored < HeaderBytes + TagBytes) return null;
        if (rest == 0) return whole * ChunkBytes;
        var empty = rest == TagBytes;
        return rest < TagBytes || (empty && whole > 0) ? null : (whole * ChunkBytes) + rest - TagBytes;
    }
}
