using System.Globalization;
using System.Text.RegularExpressions;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Recursive descent: or, and, not, comparison. Values get the type of the column that they are compared with.</summary>
internal sealed partial class PredicateParser(string text, Schema schema)
{
    private const int MaxDepth = 100;
    private readonly List<Token> tokens = Tokenize(text);
    private int next;
    private int depth;

    private enum TokenKind
    {
        Word,
        QuotedName,
        Text,
        Number,
        Symbol,
        End,
    }

    private Token Current => tokens[next];

    public Predicate Parse()
    {
        var predicate = Or();
        return Current.Kind == TokenKind.End ? predicate : throw Unexpected("AND, OR or the end");
    }

    private Predicate Or()
    {
        var operands = new List<Predicate> { And() };
        while (TakeWord("OR")) operands.Add(And());
        return operands.Count == 1 ? operands[0] : new Predicate.Or(operands);
    }

    private Predicate And()
    {
        var operands = new List<Predicate> { Not() };
        while (TakeWord("AND")) operands.Add(Not());
        return operands.Count == 1 ? operands[0] : new Predicate.And(operands);
    }

    private Predicate Not()
    {
        if (++depth > MaxDepth) throw new FormatException($"the condition is nested more than {MaxDepth} deep");
        var predicate = TakeWord("NOT") ? new Predicate.Not(Not()) : Primary();
        depth--;
        return predicate;
    }

    private Predicate Primary()
    {
        if (TakeSymbol("("))
        {
            var inner = Or();
            return TakeSymbol(")") ? inner : throw Unexpected("')'");
        }
        if (TakeWord("TRUE")) return new Predicate.Constant(true);
        if (TakeWord("FALSE")) return new Predicate.Constant(false);
        return Current.Kind is TokenKind.Text or TokenKind.Number ? ValueFirst() : ColumnFirst();
    }

    /// <summary>3 &lt; a is a &gt; 3.</summary>
    private Predicate.Comparison ValueFirst()
    {
        var value = Take();
        var comparison = Comparison() ?? throw Unexpected("a comparison");
        var column = Column();
        return new(column, Flip(comparison), ValueOf(value, column));
    }

    private Predicate ColumnFirst()
    {
        var column = Column();
        if (Comparison() is { } comparison) return new Predicate.Comparison(column, comparison, Value(column));
        if (TakeWord("IS"))
        {
            var isNot = TakeWord("NOT");
            if (!TakeWord("NULL")) throw Unexpected("NULL");
            return Negate(isNot, new Predicate.IsNull(column));
        }
        var negated = TakeWord("NOT");
        if (TakeWord("IN")) return Negate(negated, new Predicate.In(column, Values(column)));
        if (TakeWord("BETWEEN")) return Negate(negated, Between(column));
        if (!negated && column.Type is BooleanType) return new Predicate.Comparison(column, ComparisonOperator.Equal, new(1));
        throw Unexpected(negated ? "IN or BETWEEN" : "a comparison, IN, BETWEEN or IS NULL");
    }

    private static Predicate Negate(bool negated, Predicate predicate) => negated ? new Predicate.Not(predicate) : predicate;

    private Predicate.And Between(ColumnReference column)
    {
        var low = Value(column);
        if (!TakeWord("AND")) throw Unexpected("AND");
        return new([
            new Predicate.Comparison(column, ComparisonOperator.GreaterOrEqual, low),
            new Predicate.Comparison(column, ComparisonOperator.LessOrEqual, Value(column))]);
    }

    private List<ColumnValue> Values(ColumnReference column)
    {
        if (!TakeSymbol("(")) throw Unexpected("'('");
        var values = new List<ColumnValue> { Value(column) };
        while (TakeSymbol(",")) values.Add(Value(column));
        return TakeSymbol(")") ? values : throw Unexpected("',' or ')'");
    }

    private ColumnReference Column()
    {
        var names = new List<string>();
        do
        {
            if (Current.Kind is not (TokenKind.Word or TokenKind.QuotedName)) throw Unexpected("a column");
            names.Add(Take().Text);
        }
        while (TakeSymbol("."));
        return ColumnReference.Resolve(names, schema);
    }

    private ColumnValue Value(ColumnReference column)
    {
        if (Current is { Kind: TokenKind.Word } word && word.Is("NULL"))
            throw new FormatException($"at {word.At}: nothing equals NULL; write {column.Name} IS NULL");
        // DATE '2024-01-31' and TIMESTAMP '…' say what the column's type says already.
        if (Current is { Kind: TokenKind.Word } prefix && (prefix.Is("DATE") || prefix.Is("TIMESTAMP")) && tokens[next + 1].Kind == TokenKind.Text) next++;
        var isValue = Current.Kind is TokenKind.Text or TokenKind.Number || (Current.Kind == TokenKind.Word && (Current.Is("TRUE") || Current.Is("FALSE")));
        return isValue ? ValueOf(Take(), column) : throw Unexpected($"a value for {column.Name}");
    }

    private static ColumnValue ValueOf(Token token, ColumnReference column)
    {
        if (column.Type is NestedType)
            throw new FormatException($"at {token.At}: {column.Name} is {SchemaJson.NameOf(column.Path[^1])}: only IS NULL can be asked of it");
        if (column.Type is StringType or BinaryType && token.Kind != TokenKind.Text)
            throw new FormatException($"at {token.At}: {column.Name} is {SchemaJson.NameOf(column.Path[^1])}: write '{token.Text}' in quotes");
        return ColumnValue.Parse(column.Type, token.Text)
            ?? throw new FormatException($"at {token.At}: '{token.Text}' is no value of {column.Name}, which is {SchemaJson.NameOf(column.Path[^1])}");
    }

    private ComparisonOperator? Comparison()
    {
        ComparisonOperator? comparison = Current.Kind != TokenKind.Symbol ? null : Current.Text switch
        {
            "=" or "==" => ComparisonOperator.Equal,
            "!=" or "<>" => ComparisonOperator.NotEqual,
            "<" => ComparisonOperator.Less,
            "<=" => ComparisonOperator.LessOrEqual,
            ">" => ComparisonOperator.Greater,
            ">=" => ComparisonOperator.GreaterOrEqual,
            _ => null,
        };
        if (comparison is not null) next++;
        return comparison;
    }

    private static ComparisonOperator Flip(ComparisonOperator comparison) => comparison switch
    {
        ComparisonOperator.Less => ComparisonOperator.Greater,
        ComparisonOperator.LessOrEqual => ComparisonOperator.GreaterOrEqual,
        ComparisonOperator.Greater => ComparisonOperator.Less,
        ComparisonOperator.GreaterOrEqual => ComparisonOperator.LessOrEqual,
        _ => comparison,
    };

    private Token Take() => tokens[next++];

    private bool TakeWord(string word)
    {
        if (Current.Kind != TokenKind.Word || !Current.Is(word)) return false;
        next++;
        return true;
    }

    private bool TakeSymbol(string symbol)
    {
        if (Current.Kind != TokenKind.Symbol || Current.Text != symbol) return false;
        next++;
        return true;
    }

    private FormatException Unexpected(string wanted) => Current.Kind == TokenKind.End
        ? new($"the condition ends where {wanted} should be")
        : new($"at {Current.At}: '{Current.Text}' stands where {wanted} should be");

    private static List<Token> Tokenize(string text)
    {
        var found = new List<Token>();
        for (var at = 0; at < text.Length;)
        {
            var match = Lexeme().Match(text, at);
            if (!match.Success) throw new FormatException($"at {at + 1}: {(text[at] is '\'' or '"' or '`' ? "a quote is not closed" : $"'{text[at]}' is not understood")}");
            if (TokenOf(match, at + 1) is { } token) found.Add(token);
            at += match.Length;
        }
        found.Add(new(TokenKind.End, "", text.Length + 1));
        return found;
    }

    private static Token? TokenOf(Match match, int at)
    {
        if (match.Groups["space"].Success) return null;
        if (match.Groups["word"].Success) return new(TokenKind.Word, match.Value, at);
        if (match.Groups["number"].Success) return new(TokenKind.Number, match.Value, at);
        if (match.Groups["symbol"].Success) return new(TokenKind.Symbol, match.Value, at);
        var quote = match.Value[0];
        var inner = match.Value[1..^1].Replace(new string(quote, 2), quote.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        return new(quote == '\'' ? TokenKind.Text : TokenKind.QuotedName, inner, at);
    }

    [GeneratedRegex(
        """
        \G(?:
          (?<space>\s+)
        | (?<word>[\p{L}_][\p{L}\p{Nd}_]*)
        | (?<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
        | (?<text>'(?:[^']|'')*')
        | (?<name>`(?:[^`]|``)*`|"(?:[^"]|"")*")
        | (?<symbol><=|>=|<>|!=|==|[=<>(),.])
        )
        """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Lexeme();

    /// <param name="At">Its first character, from 1.</param>
    private readonly record struct Token(TokenKind Kind, string Text, int At)
    {
        public bool Is(string word) => string.Equals(Text, word, StringComparison.OrdinalIgnoreCase);
    }
}
