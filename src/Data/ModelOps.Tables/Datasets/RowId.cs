using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Tables.Datasets;

/// <summary>SHA-256 over role and content of each message, each as its UTF-8 length (int32, little-endian) and its UTF-8 bytes.</summary>
internal static class RowId
{
    public static byte[] Compute(IReadOnlyList<RowMessage> messages)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var message in messages)
        {
            Append(hash, message.Role);
            Append(hash, message.Content);
        }
        return hash.GetHashAndReset();
    }

    private static void Append(IncrementalHash hash, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }
}
