using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ModelOps.Training.Data;

namespace ModelOps.Training.Checkpoints;

/// <summary>Tells whether a checkpoint is of the same run: a digest of all that a run is made from.</summary>
internal static class RunFingerprint
{
    /// <param name="settings">Recipe, model and the like, in UTF-8.</param>
    /// <param name="rows">Learned from and measured on.</param>
    /// <returns>SHA-256, hex.</returns>
    public static string Of(IEnumerable<byte[]> settings, IEnumerable<PackedRow> rows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var setting in settings) hash.AppendData(setting);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var document in rows.SelectMany(row => row.Documents))
        {
            BinaryPrimitives.WriteInt32LittleEndian(length, document.Length);
            hash.AppendData(length);
            hash.AppendData(MemoryMarshal.AsBytes(document.Tokens.AsSpan()));
            hash.AppendData(MemoryMarshal.AsBytes(document.Learned.AsSpan()));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
