using System.Buffers.Binary;

namespace ModelOps.Services.Tests;

/// <summary>Seeded damage to a valid file: what a bad disk, a cut download or a hostile author makes of it.</summary>
internal static class Mutations
{
    public static byte[] Apply(Random random, ReadOnlySpan<byte> valid)
    {
        var bytes = valid.ToArray();
        for (var count = random.Next(1, 4); count > 0 && bytes.Length > 0; count--) bytes = ApplyOne(random, bytes);
        return bytes;
    }

    private static byte[] ApplyOne(Random random, byte[] bytes)
    {
        var at = random.Next(bytes.Length);
        switch (random.Next(7))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 1:
                bytes[at] = (byte)random.Next(256);
                return bytes;
            case 2:
                bytes[at] = (byte)"0123456789[]{},:\"-\\"[random.Next(19)];
                return bytes;
            case 3:
                return bytes[..at];
            case 4:
                return [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(1, 9))..]];
            case 5:
                return [.. bytes[..at], .. bytes[at..Math.Min(bytes.Length, at + random.Next(1, 33))], .. bytes[at..]];
            default:
                if (bytes.Length < 8) return bytes;
                long[] extremes = [0, 1, -1, long.MaxValue, long.MinValue, int.MaxValue, uint.MaxValue, 1L << 40, random.NextInt64()];
                BinaryPrimitives.WriteInt64LittleEndian(
                    bytes.AsSpan(Math.Min(at, bytes.Length - 8)), extremes[random.Next(extremes.Length)]);
                return bytes;
        }
    }
}
