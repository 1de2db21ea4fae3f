using System.Buffers;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>Python counts a string in characters where .NET counts UTF-16 units; they differ only where there are surrogates.</summary>
internal static class PythonString
{
    private static readonly SearchValues<char> lineEnds = SearchValues.Create("\n\r\v\f\x1C\x1D\x1E\u0085\u2028\u2029");

    public static int Length(string text) => HasSurrogates(text) ? text.EnumerateRunes().Count() : text.Length;

    public static string? CharacterAt(string text, long index)
    {
        var length = Length(text);
        var position = index < 0 ? index + length : index;
        if (position < 0 || position >= length)
            return null;
        return length == text.Length ? text[(int)position].ToString() : text.EnumerateRunes().ElementAt((int)position).ToString();
    }

    public static string Slice(string text, SliceIndices indices)
    {
        if (indices.Count == 0)
            return "";
        if (!HasSurrogates(text))
            return indices.IsContiguous ? text.Substring(indices.First, indices.Count) : string.Concat(indices.Select(index => text[index]));
        var runes = text.EnumerateRunes().ToArray();
        return string.Concat(indices.Select(index => runes[index].ToString()));
    }

    /// <summary>What <c>str.isspace()</c> and <c>str.strip()</c> take for whitespace.</summary>
    public static bool IsSpace(char character) => char.IsWhiteSpace(character) || character is >= '\x1C' and <= '\x1F';

    /// <param name="characters">A set of characters to strip; null means whitespace.</param>
    public static string Strip(string text, string? characters, bool left, bool right)
    {
        var (start, end) = (0, text.Length);
        while (left && start < end && Strips(text[start]))
            start++;
        while (right && end > start && Strips(text[end - 1]))
            end--;
        return text[start..end];

        bool Strips(char character) => characters is null ? IsSpace(character) : characters.Contains(character);
    }

    /// <param name="width">At least the length of the text.</param>
    public static string Center(string text, int width, char fill)
    {
        var missing = width - text.Length;
        var left = (missing / 2) + (missing & width & 1); // where Python puts an odd one
        return text.PadLeft(text.Length + left, fill).PadRight(width, fill);
    }

    /// <summary>First letter of each run of letters upper case, the others lower.</summary>
    public static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var character in text)
        {
            result.Append(inWord ? char.ToLowerInvariant(character) : char.ToUpperInvariant(character));
            inWord = char.IsLetter(character);
        }
        return result.ToString();
    }

    public static string Capitalize(string text) => text.Length == 0 ? "" : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    /// <param name="count">How many to replace from the left; negative means all.</param>
    public static string Replace(RenderContext context, string text, string old, string replacement, long count)
    {
        if (count < 0 && old.Length > 0)
        {
            var found = replacement.Length > old.Length ? Count(text, old) : 0;
            context.Allocate(text.Length + (found * (long)(replacement.Length - old.Length)));
            return text.Replace(old, replacement);
        }
        return ReplaceFirst(context, text, old, replacement, count < 0 ? long.MaxValue : count);
    }

    public static long Count(string text, string part)
    {
        if (part.Length == 0)
            return Length(text) + 1;
        long found = 0;
        for (var index = text.IndexOf(part, StringComparison.Ordinal); index >= 0; index = text.IndexOf(part, index + part.Length, StringComparison.Ordinal))
            found++;
        return found;
    }

    public static List<object?> Split(string text, string? separator, long maximum, bool fromRight)
    {
        if (separator is "")
            throw new TemplateFault("empty separator");
        var limit = maximum < 0 ? int.MaxValue : (int)Math.Min(maximum, int.MaxValue);
        IEnumerable<string> parts = (separator, fromRight) switch
        {
            (null, _) => SplitAtSpace(text, limit, fromRight),
            (_, false) => text.Split(separator, limit == int.MaxValue ? limit : limit + 1),
            (_, true) => SplitFromRight(text, separator, limit),
        };
        return [.. parts];
    }

    public static List<string> Lines(string text, bool keepEnds)
    {
        var lines = new List<string>();
        var start = 0;
        while (start < text.Length)
        {
            var end = text.AsSpan(start).IndexOfAny(lineEnds) is var found and >= 0 ? start + found : text.Length;
            var next = end + (end + 1 < text.Length && text[end] == '\r' && text[end + 1] == '\n' ? 2 : 1);
            lines.Add(text[start..(keepEnds ? Math.Min(next, text.Length) : end)]);
            start = next;
        }
        return lines;
    }

    private static bool HasSurrogates(string text) => text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0;

    /// <summary>An empty <paramref name="old"/> is found before every character and at the end.</summary>
    private static string ReplaceFirst(RenderContext context, string text, string old, string replacement, long count)
    {
        var result = new StringBuilder();
        var (start, searchFrom) = (0, 0);
        while (count-- > 0 && searchFrom <= text.Length && text.IndexOf(old, searchFrom, StringComparison.Ordinal) is var found and >= 0)
        {
            context.Allocate(found - start + replacement.Length);
            result.Append(text, start, found - start).Append(replacement);
            start = found + old.Length;
            searchFrom = old.Length > 0 ? start : found + 1;
            if (old.Length == 0 && found < text.Length)
                result.Append(text[start++]);
        }
        context.Allocate(Math.Max(0, text.Length - start));
        return start < text.Length ? result.Append(text, start, text.Length - start).ToString() : result.ToString();
    }

    private static List<string> SplitAtSpace(string text, int limit, bool fromRight)
    {
        if (fromRight)
            return [.. SplitAtSpace(Reversed(text), limit, fromRight: false).Select(Reversed).Reverse()];
        var parts = new List<string>();
        for (var start = SkipWhile(text, 0, space: true); start < text.Length;)
        {
            var end = parts.Count == limit ? text.Length : SkipWhile(text, start, space: false);
            parts.Add(text[start..end]);
            start = SkipWhile(text, end, space: true);
        }
        return parts;
    }

    private static int SkipWhile(string text, int index, bool space)
    {
        while (index < text.Length && IsSpace(text[index]) == space)
            index++;
        return index;
    }

    private static List<string> SplitFromRight(string text, string separator, int limit)
    {
        var parts = new List<string>();
        var end = text.Length;
        while (parts.Count < limit && end >= separator.Length
            && text.LastIndexOf(separator, end - 1, end, StringComparison.Ordinal) is var found and >= 0)
        {
            parts.Add(text[(found + separator.Length)..end]);
            end = found;
        }
        parts.Add(text[..end]);
        parts.Reverse();
        return parts;
    }

    private static string Reversed(string text)
    {
        var characters = text.ToCharArray();
        Array.Reverse(characters);
        return new string(characters);
    }
}
