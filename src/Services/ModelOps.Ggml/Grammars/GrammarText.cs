using System.Globalization;

namespace ModelOps.Ggml;

/// <summary>
/// Reads GBNF only to say what is wrong with it, and where: llama.cpp's own parser writes its reasons to stderr, descends by recursion, and
/// multiplies repetitions out. What is left for it to find is left recursion.
/// </summary>
internal sealed class GrammarText
{
    public const int MaxLength = 256 * 1024;
    public const int MaxRules = 4000;
    public const int MaxDepth = 200;
    public const int MaxRepetition = 2000; // llama.cpp's

    /// <summary>Characters, classes and references after all repetitions are multiplied out.</summary>
    public const int MaxElements = 100_000;

    private readonly string text;
    private readonly HashSet<string> defined = [];
    private readonly List<(string Name, int Position)> references = [];
    private int position;
    private int depth;
    private int elements;

    private GrammarText(string text) => this.text = text;

    /// <exception cref="ArgumentException">The grammar is wrong; the message says where and why.</exception>
    public static void Check(string text)
    {
        if (text.Length > MaxLength) throw Wrong($"it has {text.Length} characters, of at most {MaxLength}");
        if (text.Contains('\0', StringComparison.Ordinal)) throw Wrong("it has a NUL character");
        new GrammarText(text).ReadRules();
    }

    private void ReadRules()
    {
        SkipSpace(newlines: true);
        while (position < text.Length)
        {
            var name = ReadName();
            if (!defined.Add(name)) throw Error($"the rule '{name}' is defined twice");
            if (defined.Count > MaxRules) throw Wrong($"it has more than {MaxRules} rules");
            SkipSpace(newlines: false);
            Expect("::=");
            SkipSpace(newlines: true);
            ReadAlternates();
            if (position < text.Length && Current is not ('\r' or '\n')) throw Error("expected an element, '|' or the end of the line");
            SkipSpace(newlines: true);
        }
        if (!defined.Contains("root")) throw Wrong("it has no rule 'root'");
        foreach (var (name, end) in references.Where(reference => !defined.Contains(reference.Name)))
        {
            position = end - name.Length;
            throw Error($"there is no rule '{name}'");
        }
    }

    private char Current => position < text.Length ? text[position] : '\0';

    private void ReadAlternates()
    {
        ReadSequence();
        while (Current == '|')
        {
            position++;
            SkipSpace(newlines: true);
            ReadSequence();
        }
    }

    private void ReadSequence()
    {
        int? last = null; // elements of what a repetition would repeat
        while (true)
        {
            switch (Current)
            {
                case '"':
                    last = ReadLiteral();
                    break;
                case '[':
                    last = ReadClass();
                    break;
                case '(':
                    last = ReadGroup();
                    break;
                case '.':
                    position++;
                    last = 1;
                    break;
                case '*' or '+' or '?' or '{':
                    ReadRepetition(last ?? throw Error("there is nothing to repeat before this"));
                    last = null;
                    break;
                case '<' or '!':
                    throw Error("references to tokens are not supported");
                case var character when IsWord(character):
                    references.Add((ReadName(), position));
                    last = 1;
                    break;
                default:
                    return;
            }
            Count(last ?? 0);
            SkipSpace(newlines: depth > 0);
        }
    }

    private int ReadLiteral()
    {
        var characters = 0;
        for (position++; Current != '"'; characters++) ReadCharacter("literal");
        position++;
        return characters;
    }

    private int ReadClass()
    {
        position++;
        if (Current == '^') position++;
        while (Current != ']')
        {
            ReadCharacter("class of characters");
            if (Current != '-' || position + 1 >= text.Length || text[position + 1] == ']') continue;
            position++;
            ReadCharacter("class of characters");
        }
        position++;
        return 1;
    }

    private int ReadGroup()
    {
        if (++depth > MaxDepth) throw Error($"parentheses are more than {MaxDepth} deep");
        position++;
        SkipSpace(newlines: true);
        ReadAlternates();
        Expect(")");
        depth--;
        return 1;
    }

    private void ReadRepetition(int repeated)
    {
        if (Current != '{')
        {
            position++;
            return;
        }
        position++;
        SkipSpace(newlines: depth > 0);
        var least = ReadNumber();
        int? most = least;
        SkipSpace(newlines: depth > 0);
        if (Current == ',')
        {
            position++;
            SkipSpace(newlines: depth > 0);
            most = char.IsAsciiDigit(Current) ? ReadNumber() : null;
            SkipSpace(newlines: depth > 0);
        }
        Expect("}");
        if (most < least) throw Error($"at least {least} and at most {most} times is impossible");
        Count(checked(repeated * Math.Max(least, most ?? 0)));
    }

    private int ReadNumber()
    {
        var start = position;
        while (char.IsAsciiDigit(Current)) position++;
        if (position == start) throw Error("expected a number");
        return int.TryParse(text.AsSpan(start, position - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MaxRepetition
            ? number
            : throw Error($"more than {MaxRepetition} repetitions");
    }

    private void ReadCharacter(string what)
    {
        if (position >= text.Length) throw Error($"a {what} is not closed");
        if (Current != '\\')
        {
            position += char.IsSurrogatePair(text, position) ? 2 : 1;
            return;
        }
        position++;
        var digits = Current switch
        {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            't' or 'r' or 'n' or '\\' or '"' or '[' or ']' => 0,
            _ => throw Error("no such escape"),
        };
        position++;
        for (var i = 0; i < digits; i++, position++)
            if (!char.IsAsciiHexDigit(Current)) throw Error($"the escape needs {digits} hexadecimal digits");
    }

    private string ReadName()
    {
        var start = position;
        while (IsWord(Current)) position++;
        return position > start ? text[start..position] : throw Error("expected the name of a rule");
    }

    private void Expect(string mark)
    {
        if (string.CompareOrdinal(text, position, mark, 0, mark.Length) != 0) throw Error($"expected '{mark}'");
        position += mark.Length;
    }

    private void SkipSpace(bool newlines)
    {
        while (position < text.Length)
        {
            if (Current == '#')
            {
                while (position < text.Length && Current is not ('\r' or '\n')) position++;
                continue;
            }
            var skipped = Current is ' ' or '\t' || (newlines && Current is ('\r' or '\n'));
            if (!skipped) return;
            position++;
        }
    }

    private void Count(int more)
    {
        elements += more;
        if (elements > MaxElements) throw Wrong($"with its repetitions multiplied out it has more than {MaxElements} elements");
    }

    private static bool IsWord(char character) => char.IsAsciiLetterOrDigit(character) || character == '-';

    private ArgumentException Error(string message)
    {
        var before = text.AsSpan(0, Math.Min(position, text.Length));
        var column = before.Length - (before.LastIndexOf('\n') + 1) + 1;
        return Wrong($"line {before.Count('\n') + 1}, column {column}: {message}");
    }

    private static ArgumentException Wrong(string message) => new($"The grammar is wrong: {message}.");
}
