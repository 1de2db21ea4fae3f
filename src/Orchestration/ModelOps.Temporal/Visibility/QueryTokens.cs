using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.Temporal.Visibility;

internal enum TokenKind { Name, Text, Number, Symbol, End }

/// <param name="Position">Where it begins in the query, from 1.</param>
/// <param name="Escaped">A name in backticks: never a keyword.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct QueryToken(TokenKind Kind, string Text, int Position, bool Escaped = false)
{
    /// <summary>Whether this is the keyword: keywords are names that no backtick escapes, in any case.</summary>
    public bool Is(string keyword) => Kind is TokenKind.Name or TokenKind.Symbol && !Escaped && Text.Equals(keyword, StringComparison.OrdinalIgnoreCase);

    public override string ToString() => Kind == TokenKind.End ? "the end" : Kind == TokenKind.Text ? $"'{Text}'" : Text;
}

/// <summary>Cuts a list filter into names, texts in single or double quotes, numbers and symbols.</summary>
internal static class QueryTokens
{
    private static readonly string[] symbols = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","];

    public static List<QueryToken> Of(string query)
    {
        var tokens = new List<QueryToken>();
        var at = 0;
        while (true)
        {
            while (at < query.Length && char.IsWhiteSpace(query[at])) at++;
            if (at == query.Length) break;
            tokens.Add(Next(query, ref at));
        }
        tokens.Add(new(TokenKind.End, "", query.Length + 1));
        return tokens;
    }

    private static QueryToken Next(string query, ref int at)
    {
        var (start, first) = (at, query[at]);
        if (first is '\'' or '"' or '`')
            return new(first == '`' ? TokenKind.Name : TokenKind.Text, Quoted(query, ref at), start + 1, Escaped: first == '`');
        if (char.IsLetter(first) || first == '_')
            return new(TokenKind.Name, Take(query, ref at, c => char.IsLetterOrDigit(c) || c is '_' or '.'), start + 1);
        if (char.IsAsciiDigit(first) || (first is '-' or '+' or '.' && at + 1 < query.Length && (char.IsAsciiDigit(query[at + 1]) || query[at + 1] == '.')))
        {
            at++;
            // The sign of an exponent belongs to the number: 1e-3.
            var rest = Take(query, ref at, (c, before) => char.IsAsciiLetterOrDigit(c) || c == '.' || (c is '-' or '+' && before is 'e' or 'E'));
            return new(TokenKind.Number, first + rest, start + 1);
        }
        foreach (var symbol in symbols)
            if (query.AsSpan(at).StartsWith(symbol))
            {
                at += symbol.Length;
                return new(TokenKind.Symbol, symbol, start + 1);
            }
        throw new VisibilityException($"invalid query: position {start + 1}: '{first}' means nothing here; texts stand in quotes");
    }

    private static string Take(string query, ref int at, Func<char, bool> belongs) => Take(query, ref at, (c, _) => belongs(c));

    private static string Take(string query, ref int at, Func<char, char, bool> belongs)
    {
        var start = at;
        while (at < query.Length && belongs(query[at], query[Math.Max(0, at - 1)])) at++;
        return query[start..at];
    }

    /// <summary>A quote inside is doubled or follows a backslash, as in MySQL, whose grammar the language comes from.</summary>
    private static string Quoted(string query, ref int at)
    {
        var (start, quote) = (at, query[at]);
        var text = new StringBuilder();
        for (at++; at < query.Length; at++)
        {
            var c = query[at];
            if (c == quote && at + 1 < query.Length && query[at + 1] == quote) at++;
            else if (c == '\\' && quote != '`' && at + 1 < query.Length) c = Unescape(query[++at]);
            else if (c == quote)
            {
                at++;
                return text.ToString();
            }
            text.Append(c);
        }
        throw new VisibilityException($"invalid query: position {start + 1}: the text that begins with {quote} has no end");
    }

    private static char Unescape(char escaped) => escaped switch { 'n' => '\n', 't' => '\t', 'r' => '\r', '0' => '\0', _ => escaped };
}
