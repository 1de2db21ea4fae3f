namespace ModelOps.Tables.Delta;

/// <summary>Five characters for four bytes (ZeroMQ RFC 32).</summary>
internal static class Z85
{
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

    /// <exception cref="FormatException">The text is no Z85.</exception>
    public static byte[] Decode(ReadOnlySpan<char> text)
    {
        if (text.Length % 5 != 0) throw new FormatException($"{text.Length} characters are no Z85: a multiple of 5 is");
        var bytes = new byte[text.Length / 5 * 4];
        for (var i = 0; i < text.Length; i += 5)
        {
            var value = 0UL;
            foreach (var character in text.Slice(i, 5))
                value = (value * 85) + (Alphabet.IndexOf(character, StringComparison.Ordinal) is var digit and >= 0
                    ? (ulong)digit
                    : throw new FormatException($"'{character}' is no digit of Z85"));
            if (value > uint.MaxValue) throw new FormatException($"'{text.Slice(i, 5)}' is beyond four bytes");
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(i / 5 * 4), (uint)value);
        }
        return bytes;
    }
}
