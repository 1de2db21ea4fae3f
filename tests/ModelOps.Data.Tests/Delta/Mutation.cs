namespace ModelOps.Data.Tests.Delta;

/// <summary>Seeded damage to bytes: flipped, cut, doubled, moved, or with a piece of syntax put in.</summary>
internal static class Mutation
{
    private static readonly byte[][] Pieces =
    [
        "\""u8.ToArray(), "{"u8.ToArray(), "}"u8.ToArray(), "["u8.ToArray(), "]"u8.ToArray(), ","u8.ToArray(), "null"u8.ToArray(), "-1"u8.ToArray(),
        "1e400"u8.ToArray(), "\\ud800"u8.ToArray(), "\\u0000"u8.ToArray(), "\n"u8.ToArray(), "\r"u8.ToArray(), [0], [0xFF], [0xEF, 0xBB, 0xBF],
    ];

    public static byte[] Of(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var count = random.Next(1, 4); count > 0 && bytes.Count > 0; count--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 40), bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 40), bytes.Count - at)));
                    break;
                default:
                    bytes.InsertRange(at, Pieces[random.Next(Pieces.Length)]);
                    break;
            }
        }
        return [.. bytes];
    }
}
