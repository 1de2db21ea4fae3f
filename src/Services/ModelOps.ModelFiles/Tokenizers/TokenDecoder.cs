using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Puts the text of tokens together.</summary>
internal sealed class TokenDecoder
{
    private readonly byte[][] bytesById;
    private readonly bool[] isByte;
    private readonly bool stripsLeadingSpace;

    public TokenDecoder(TokenizerJson definition)
    {
        stripsLeadingSpace = definition.StripsLeadingSpace;
        isByte = [.. definition.Tokens.Select(token => definition.ByteFallback && BpeModel.TryByteOf(token.Text, out _))];
        bytesById = [.. definition.Tokens.Select(token => definition.IsByteLevel ? BytesOf(token.Text) : PieceBytes(token.Text, definition.ByteFallback))];
    }

    public string Decode(ReadOnlySpan<int> tokens, IReadOnlySet<int> skipped)
    {
        var bytes = new ArrayBufferWriter<byte>((tokens.Length * 4) + 1);
        for (var index = 0; index < tokens.Length; index++)
        {
            if (skipped.Contains(tokens[index])) continue;
            if (!isByte[tokens[index]]) bytes.Write(bytesById[tokens[index]]);
            else index += WriteByteRun(tokens[index..], skipped, bytes) - 1;
        }
        var text = Encoding.UTF8.GetString(bytes.WrittenSpan);
        return stripsLeadingSpace && text.StartsWith(' ') ? text[1..] : text;
    }

    /// <summary>Fallback bytes that stand together are characters together, or U+FFFD each.</summary>
    /// <returns>How many tokens they take.</returns>
    private int WriteByteRun(ReadOnlySpan<int> tokens, IReadOnlySet<int> skipped, ArrayBufferWriter<byte> result)
    {
        var run = new List<byte>();
        var taken = 0;
        for (; taken < tokens.Length && (isByte[tokens[taken]] || skipped.Contains(tokens[taken])); taken++)
        {
            if (!skipped.Contains(tokens[taken])) run.Add(bytesById[tokens[taken]][0]);
        }
        result.Write(Utf8.IsValid([.. run]) ? [.. run] : Encoding.UTF8.GetBytes(new string('\uFFFD', run.Count)));
        return taken;
    }

    private static byte[] PieceBytes(string text, bool byteFallback) => byteFallback && BpeModel.TryByteOf(text, out var value)
        ? [value]
        : Encoding.UTF8.GetBytes(text.Replace(PreTokenizer.SpaceSymbol, ' '));

    /// <summary>A token with a character outside the alphabet stands for its own text, as Hugging Face's decoder has it.</summary>
    private static byte[] BytesOf(string text)
    {
        var bytes = new byte[text.Length];
        for (var index = 0; index < bytes.Length; index++)
        {
            if (!ByteLevelAlphabet.TryByteOf(text[index], out bytes[index]))
                return Encoding.UTF8.GetBytes(text);
        }
        return bytes;
    }
}
