using System.Text;

namespace ModelOps.Services.Tests.Tokenizers;

/// <summary>Seeded texts of what tokenizers stumble over: runs of spaces, digits, marks, scripts, emoji, special tokens.</summary>
internal static class RandomTexts
{
    public const string Training = """
        The quick brown fox jumps over the lazy dog. It's 2024, and they're 1,234 steps ahead; we'll see.
        def add(a, b):
            return a + b  # sum

        Déjà vu à Zürich: naïve café, crème brûlée. 日本語のテキスト、中文文本。 Привет, мир! مرحبا 😀😀 𝒜𝒷𝒸
        """;

    private static readonly string[] pools =
    [
        "abcdefghijXYZ", "     \n\t\r", "0123456789٣²Ⅷ", "éßñøÅЖ日本語中文한국ขอบ", "🦙😀👨\u200D👩\u200D👧𠀀𝒜𝟘", "'\"", ".,;:!?-_()[]{}#@%/\\", "\u00A0\u2003\u3000\u200B\uFEFF",
        "e\u0301o\u0308\u0323", "اَلْعَرَبِيَّةُ", "\0\u007F\u0085\uFFFD",
    ];

    private static readonly string[] words = ["the", " quick", "It's", "'LL", "we'll", "  ", "\n\n", " \n", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "2024", "\r\n\r\n", " 日本"];

    public static List<string> Make(int seed, int count)
    {
        var random = new Random(seed);
        var texts = new List<string>();
        for (var index = 0; index < count; index++)
        {
            var text = new StringBuilder();
            for (var parts = random.Next(1, 25); parts > 0; parts--)
                text.Append(random.Next(3) == 0 ? words[random.Next(words.Length)] : Piece(random));
            texts.Add(text.ToString());
        }
        return texts;
    }

    private static string Piece(Random random)
    {
        var pool = pools[random.Next(pools.Length)].EnumerateRunes().ToArray();
        return string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => pool[random.Next(pool.Length)].ToString()));
    }
}
