using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Registry;

/// <summary>Name-based UUIDs, version 5 (RFC 9562, section 5.5): the same name gives the same id everywhere.</summary>
public static class NameGuid
{
    /// <summary>RFC 9562, section 6.6.</summary>
    public static readonly Guid Url = Guid.Parse("6ba7b811-9dad-11d1-80b4-00c04fd430c8");

    public static Guid Of(Guid nameSpace, string name)
    {
        byte[] input = [.. nameSpace.ToByteArray(bigEndian: true), .. Encoding.UTF8.GetBytes(name)];
#pragma warning disable CA5350 // the RFC says SHA-1; an id is no proof
        var hash = SHA1.HashData(input).AsSpan(0, 16);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0f) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3f) | 0x80);
        return new Guid(hash, bigEndian: true);
    }
}
