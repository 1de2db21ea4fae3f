using System.Globalization;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>Cuts a template into tokens as Jinja 3.1 does with <c>trim_blocks</c> and <c>lstrip_blocks</c> on.</summary>
internal sealed class Lexer
{
    private static readonly string[] operators =
    [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
    ];

    private readonly string source;
    private readonly List<Token> tokens = [];
    private readonly Stack<char> brackets = new();
    private int offset;
    private bool atLineStart = true;
    private (int Offset, int Line, int LineStart) counted = (0, 1, 0);

    public Lexer(string template)
    {
        source = template.Replace("\r\n", "\n").Replace('\r', '\n');
        if (source.EndsWith('\n'))
            source = source[..^1];
    }

    public List<Token> Read()
    {
        while (offset < source.Length)
            ReadDataAndTag();
        Add(TokenKind.End, "", source.Length);
        return tokens;
    }

    private void ReadDataAndTag()
    {
        var start = NextTag(offset);
        if (start < 0)
        {
            Add(TokenKind.Data, source[offset..], offset);
            offset = source.Length;
            return;
        }
        AddData(start, stripsLine: source[start + 1] != '{');
        offset = start + 2 + (SignAt(start + 2) is null ? 0 : 1);
        switch (source[start + 1])
        {
            case '#': SkipComment(start); break;
            case '{': ReadTag(start, TokenKind.OutputBegin, TokenKind.OutputEnd); break;
            case '%' when TryReadRaw(start): break;
            default: ReadTag(start, TokenKind.BlockBegin, TokenKind.BlockEnd); break;
        }
        atLineStart = source[offset - 1] == '\n';
    }

    private int NextTag(int from)
    {
        for (var index = source.IndexOf('{', from); index >= 0 && index + 1 < source.Length; index = source.IndexOf('{', index + 1))
        {
            if (source[index + 1] is '{' or '%' or '#')
                return index;
        }
        return -1;
    }

    private char? SignAt(int index) => index < source.Length && source[index] is '-' or '+' ? source[index] : null;

    /// <summary>Adds the text up to the tag at <paramref name="end"/>, less the whitespace that the tag takes away.</summary>
    private void AddData(int end, bool stripsLine)
    {
        var text = source[offset..end];
        var sign = SignAt(end + 2);
        if (sign == '-')
        {
            text = text.TrimEnd();
        }
        else if (sign is null && stripsLine)
        {
            var lineStart = text.LastIndexOf('\n') + 1;
            if ((lineStart > 0 || atLineStart) && string.IsNullOrWhiteSpace(text[lineStart..]))
                text = text[..lineStart];
        }
        if (text.Length > 0)
            Add(TokenKind.Data, text, offset);
    }

    private void SkipComment(int start)
    {
        var end = source.IndexOf("#}", offset, StringComparison.Ordinal);
        if (end < 0)
            throw Fault("a comment that '{#' opens is never closed by '#}'", start);
        var sign = end > offset ? SignAt(end - 1) : null;
        offset = end + 2;
        SkipAfterTag(sign, trimsNewline: true);
    }

    /// <summary>Reads <c>{% raw %}…{% endraw %}</c>, whose inside is data.</summary>
    private bool TryReadRaw(int start)
    {
        if (MatchWordTag("raw", offset) is not { } opening)
            return false;
        offset = opening.End;
        SkipAfterTag(opening.Sign, trimsNewline: false);
        for (var tag = source.IndexOf("{%", offset, StringComparison.Ordinal); tag >= 0; tag = source.IndexOf("{%", tag + 2, StringComparison.Ordinal))
        {
            if (MatchWordTag("endraw", tag + 2 + (SignAt(tag + 2) is null ? 0 : 1)) is not { } closing)
                continue;
            AddData(tag, stripsLine: true);
            offset = closing.End;
            SkipAfterTag(closing.Sign, trimsNewline: true);
            return true;
        }
        throw Fault("'{% raw %}' is never closed by '{% endraw %}'", start);
    }

    private (int End, char? Sign)? MatchWordTag(string word, int from)
    {
        var index = SkipSpace(from);
        if (string.CompareOrdinal(source, index, word, 0, word.Length) != 0)
            return null;
        index = SkipSpace(index + word.Length);
        var sign = SignAt(index);
        index += sign is null ? 0 : 1;
        return string.CompareOrdinal(source, index, "%}", 0, 2) == 0 ? (index + 2, sign) : null;
    }

    private void ReadTag(int start, TokenKind begin, TokenKind end)
    {
        Add(begin, source.Substring(start, 2), start);
        brackets.Clear();
        while (true)
        {
            offset = SkipSpace(offset);
            if (offset >= source.Length)
                throw Fault($"'{source.Substring(start, 2)}' is never closed", start);
            if (brackets.Count == 0 && TryReadTagEnd(end))
                return;
            ReadToken();
        }
    }

    private bool TryReadTagEnd(TokenKind end)
    {
        var isBlock = end == TokenKind.BlockEnd;
        var closing = isBlock ? "%}" : "}}";
        var sign = SignAt(offset);
        if (sign == '+' && !isBlock)
            return false;
        var index = offset + (sign is null ? 0 : 1);
        if (string.CompareOrdinal(source, index, closing, 0, 2) != 0)
            return false;
        Add(end, closing, offset);
        offset = index + 2;
        SkipAfterTag(sign, trimsNewline: isBlock);
        return true;
    }

    private void SkipAfterTag(char? sign, bool trimsNewline)
    {
        if (sign == '-')
            offset = SkipSpace(offset);
        else if (sign is null && trimsNewline && offset < source.Length && source[offset] == '\n')
            offset++;
    }

    private void ReadToken()
    {
        var start = offset;
        var first = source[start];
        if (char.IsAsciiDigit(first))
            ReadNumber();
        else if (char.IsLetter(first) || first == '_')
            ReadName();
        else if (first is '\'' or '"')
            ReadText();
        else
            ReadOperator();
    }

    private void ReadName()
    {
        var start = offset;
        while (offset < source.Length && (char.IsLetterOrDigit(source[offset]) || source[offset] == '_'))
            offset++;
        Add(TokenKind.Name, source[start..offset], start);
    }

    private void ReadNumber()
    {
        var start = offset;
        var afterDot = start > 0 && source[start - 1] == '.'; // "list.0.1" is two subscripts, not a float
        if (source[start] == '0' && start + 1 < source.Length && char.ToLowerInvariant(source[start + 1]) is 'x' or 'o' or 'b')
        {
            ReadPrefixedInteger();
            return;
        }
        SkipDigits();
        var isFloat = false;
        if (!afterDot && DigitAt(offset + 1) && source[offset] == '.')
        {
            offset++;
            SkipDigits();
            isFloat = true;
        }
        if (!afterDot && offset < source.Length && source[offset] is 'e' or 'E'
            && (DigitAt(offset + 1) || (SignAt(offset + 1) is not null && DigitAt(offset + 2))))
        {
            offset += 2;
            SkipDigits();
            isFloat = true;
        }
        var digits = source[start..offset].Replace("_", "");
        if (!isFloat && !long.TryParse(digits, out _))
            throw Fault($"the integer {digits} is too large", start);
        Add(isFloat ? TokenKind.Float : TokenKind.Integer, digits, start);
    }

    private void ReadPrefixedInteger()
    {
        var start = offset;
        var radix = char.ToLowerInvariant(source[start + 1]) switch { 'x' => 16, 'o' => 8, _ => 2 };
        offset += 2;
        while (offset < source.Length && (char.IsAsciiHexDigit(source[offset]) || source[offset] == '_'))
            offset++;
        try
        {
            Add(TokenKind.Integer, Convert.ToInt64(source[(start + 2)..offset].Replace("_", ""), radix).ToString(), start);
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
        {
            throw Fault($"{source[start..offset]} is not an integer", start);
        }
    }

    private void SkipDigits()
    {
        while (DigitAt(offset) || (offset < source.Length && source[offset] == '_' && DigitAt(offset + 1)))
            offset++;
    }

    private bool DigitAt(int index) => index < source.Length && char.IsAsciiDigit(source[index]);

    private void ReadText()
    {
        var (start, quote) = (offset, source[offset]);
        var text = new StringBuilder();
        for (offset++; offset < source.Length; offset++)
        {
            var character = source[offset];
            if (character == quote)
            {
                offset++;
                Add(TokenKind.Text, text.ToString(), start);
                return;
            }
            if (character == '\\')
                ReadEscape(text);
            else
                text.Append(character);
        }
        throw Fault("a string is never closed", start);
    }

    /// <summary>Python's escapes; an unknown one stays as it is. Leaves <see cref="offset"/> on its last character.</summary>
    private void ReadEscape(StringBuilder text)
    {
        var start = offset++;
        var escape = offset < source.Length ? source[offset] : '\0';
        const string Simple = "\\'\"abfnrtv";
        const string Meaning = "\\'\"\a\b\f\n\r\t\v";
        if (escape == '\n')
            return; // a backslash at the end of a line joins the lines
        if (Simple.IndexOf(escape) is var index and >= 0)
            text.Append(Meaning[index]);
        else if (escape is 'x' or 'u' or 'U')
            AppendCodePoint(text, ReadDigits(escape switch { 'x' => 2, 'u' => 4, _ => 8 }, start), start);
        else if (escape is >= '0' and <= '7')
            AppendCodePoint(text, ReadOctal(), start);
        else
            text.Append('\\').Append(escape);
    }

    private int ReadDigits(int count, int start)
    {
        if (offset + count >= source.Length || !int.TryParse(source.AsSpan(offset + 1, count), NumberStyles.AllowHexSpecifier, null, out var value))
            throw Fault($"an escape needs {count} hexadecimal digits", start);
        offset += count;
        return value;
    }

    private int ReadOctal()
    {
        var value = 0;
        for (var digits = 0; digits < 3 && offset < source.Length && source[offset] is >= '0' and <= '7'; digits++)
            value = (value * 8) + (source[offset++] - '0');
        offset--;
        return value;
    }

    private void AppendCodePoint(StringBuilder text, int value, int start)
    {
        if (value is >= 0 and <= char.MaxValue)
            text.Append((char)value);
        else if (Rune.IsValid(value))
            text.Append(new Rune(value).ToString());
        else
            throw Fault("an escape names no character", start);
    }

    private void ReadOperator()
    {
        var symbol = Array.Find(operators, symbol => string.CompareOrdinal(source, offset, symbol, 0, symbol.Length) == 0)
            ?? throw Fault($"unexpected character '{source[offset]}'", offset);
        if (symbol[0] is '(' or '[' or '{')
            brackets.Push(symbol[0] switch { '(' => ')', '[' => ']', _ => '}' });
        else if (symbol[0] is ')' or ']' or '}' && (!brackets.TryPop(out var expected) || expected != symbol[0]))
            throw Fault($"unexpected '{symbol}'", offset);
        Add(TokenKind.Operator, symbol, offset);
        offset += symbol.Length;
    }

    private int SkipSpace(int index)
    {
        while (index < source.Length && char.IsWhiteSpace(source[index]))
            index++;
        return index;
    }

    private void Add(TokenKind kind, string text, int at) => tokens.Add(new Token(kind, text, PositionOf(at)));

    private Position PositionOf(int at)
    {
        if (at < counted.Offset)
            counted = (0, 1, 0);
        for (var index = counted.Offset; index < at; index++)
        {
            if (source[index] == '\n')
                counted = (index + 1, counted.Line + 1, index + 1);
        }
        counted.Offset = at;
        return new Position(counted.Line, at - counted.LineStart + 1);
    }

    private ChatTemplateException Fault(string message, int at)
    {
        var position = PositionOf(at);
        return new ChatTemplateException(message, position.Line, position.Column, raisedByTemplate: false, inner: null);
    }
}
