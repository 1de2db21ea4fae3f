namespace ModelOps.ObjectWriter;

/// <summary>Bytes that follow from an object's key and the version that they begin with: a part of them, or another object's, is told apart.</summary>
internal static class ObjectContent
{
    public static byte[] Of(string key, int version)
    {
        var random = new Random(key.Aggregate(version, (seed, c) => unchecked((seed * 31) + c)));
        var bytes = new byte[sizeof(int) + random.Next(1 << 20)];
        random.NextBytes(bytes);
        BitConverter.TryWriteBytes(bytes, version);
        return bytes;
    }

    public static bool IsWhole(string key, byte[] bytes) =>
        bytes.Length >= sizeof(int) && bytes.AsSpan().SequenceEqual(Of(key, BitConverter.ToInt32(bytes)));
}
