using System.Buffers;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Finds added tokens in a text: the leftmost first, of those that start together the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly Dictionary<char, AddedToken[]> byFirstCharacter;
    private readonly SearchValues<char> firstCharacters;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        byFirstCharacter = tokens.GroupBy(token => token.Content[0])
            .ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());
        firstCharacters = SearchValues.Create([.. byFirstCharacter.Keys]);
    }

    /// <summary>Cuts the text into stretches between tokens, which carry no token, and the tokens found.</summary>
    public IEnumerable<(ReadOnlyMemory<char> Text, AddedToken? Token)> Cut(ReadOnlyMemory<char> text)
    {
        var end = 0;
        while (Find(text.Span, end) is { } found)
        {
            var (start, token) = found;
            var stop = start + token.Content.Length;
            if (token.LeftStrip)
                start = end + text.Span[end..start].TrimEnd().Length;
            if (token.RightStrip)
                stop = text.Length - text.Span[stop..].TrimStart().Length;
            if (start > end)
                yield return (text[end..start], null);
            yield return (text[start..stop], token);
            end = stop;
        }
        if (end < text.Length)
            yield return (text[end..], null);
    }

    private (int Start, AddedToken Token)? Find(ReadOnlySpan<char> text, int from)
    {
        for (var start = from; start < text.Length; start++)
        {
            var skipped = text[start..].IndexOfAny(firstCharacters);
            if (skipped < 0)
                break;
            start += skipped;
            foreach (var token in byFirstCharacter[text[start]])
            {
                if (text[start..].StartsWith(token.Content) && (!token.SingleWord || StandsAlone(text, start, start + token.Content.Length)))
                    return (start, token);
            }
        }
        return null;
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int end) =>
        (start == 0 || !IsWordCharacter(text[start - 1])) && (end == text.Length || !IsWordCharacter(text[end]));

    private static bool IsWordCharacter(char character) => char.IsLetterOrDigit(character) || character == '_';
}
