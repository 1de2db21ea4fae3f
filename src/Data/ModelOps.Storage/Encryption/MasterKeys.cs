using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Storage;

/// <summary>
/// The keys that wrap the data keys of objects: the current one for what is put, the previous ones to read what was put before. A data key is
/// wrapped together with the object's key, so that no object can stand in another's place. The id of a master key is derived from it.
/// </summary>
/// <remarks>Wrapping draws random nonces: one master key is good for 2³² puts.</remarks>
public sealed class MasterKeys
{
    public const int KeyBytes = EncryptedFormat.KeyBytes;
    private readonly Dictionary<string, byte[]> keys = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">A key does not have 32 bytes.</exception>
    public MasterKeys(byte[] current, params IReadOnlyList<byte[]> previous)
    {
        CurrentId = IdOf(current);
        foreach (var key in previous.Prepend(current)) keys[IdOf(key)] = [.. key];
    }

    /// <summary>32 lower-case hex digits.</summary>
    public string CurrentId { get; }

    public static string IdOf(byte[] masterKey) => masterKey.Length == KeyBytes
        ? Convert.ToHexStringLower(HMACSHA256.HashData(masterKey, "modelops master key id"u8).AsSpan(0, EncryptedFormat.KeyIdBytes))
        : throw new ArgumentException($"a master key has {KeyBytes} bytes, not {masterKey.Length}", nameof(masterKey));

    /// <returns>The header of an object with that data key.</returns>
    internal byte[] Wrap(string objectKey, ReadOnlySpan<byte> dataKey)
    {
        var header = new byte[EncryptedFormat.HeaderBytes];
        EncryptedFormat.Magic.CopyTo(header);
        Convert.FromHexString(CurrentId).CopyTo(header, EncryptedFormat.KeyIdAt);
        RandomNumberGenerator.Fill(header.AsSpan(EncryptedFormat.NonceAt, EncryptedFormat.NonceBytes));
        var parts = new HeaderParts(header);
        using var aes = new AesGcm(keys[CurrentId], EncryptedFormat.TagBytes);
        aes.Encrypt(parts.Nonce, dataKey, header.AsSpan(EncryptedFormat.DataKeyAt, KeyBytes), header.AsSpan(EncryptedFormat.TagAt), parts.Bound(objectKey));
        return header;
    }

    /// <returns>The data key, and the id of the master key that wrapped it.</returns>
    /// <exception cref="ObjectIntegrityException">It is no header, its master key is not at hand, or it was changed or moved.</exception>
    internal (byte[] DataKey, string MasterKeyId) Unwrap(string objectKey, ReadOnlySpan<byte> header)
    {
        if (header.Length != EncryptedFormat.HeaderBytes || !header.StartsWith(EncryptedFormat.Magic))
            throw new ObjectIntegrityException(objectKey, "it is not encrypted, or was cut, and this store holds nothing else; put it anew, or remove it");
        var parts = new HeaderParts(header);
        var id = Convert.ToHexStringLower(parts.KeyId);
        if (!keys.TryGetValue(id, out var master))
            throw new ObjectIntegrityException(
                objectKey, $"its master key {id} is not at hand (current is {CurrentId}); name that key among the previous master keys");
        var dataKey = new byte[KeyBytes];
        try
        {
            using var aes = new AesGcm(master, EncryptedFormat.TagBytes);
            aes.Decrypt(parts.Nonce, parts.DataKey, parts.Tag, dataKey, parts.Bound(objectKey));
            return (dataKey, id);
        }
        catch (AuthenticationTagMismatchException e)
        {
            throw new ObjectIntegrityException(objectKey, "its header was changed, or is another object's", e);
        }
    }

    private readonly ref struct HeaderParts(ReadOnlySpan<byte> header)
    {
        private readonly ReadOnlySpan<byte> header = header;

        public ReadOnlySpan<byte> KeyId => header.Slice(EncryptedFormat.KeyIdAt, EncryptedFormat.KeyIdBytes);
        public ReadOnlySpan<byte> Nonce => header.Slice(EncryptedFormat.NonceAt, EncryptedFormat.NonceBytes);
        public ReadOnlySpan<byte> DataKey => header.Slice(EncryptedFormat.DataKeyAt, KeyBytes);
        public ReadOnlySpan<byte> Tag => header.Slice(EncryptedFormat.TagAt, EncryptedFormat.TagBytes);

        /// <summary>What the tag covers besides the data key.</summary>
        public byte[] Bound(string objectKey) => [.. header[..EncryptedFormat.DataKeyAt], .. Encoding.UTF8.GetBytes(objectKey)];
    }
}
