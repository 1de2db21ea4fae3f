using System.Globalization;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal sealed partial class Parser
{
    private static readonly string[] comparisons = ["==", "!=", "<", "<=", ">", ">="];

    /// <summary>An expression, or several with commas between them as a tuple.</summary>
    private Expression ParseTuple(bool withConditional = true)
    {
        var position = Current.Position;
        var first = ParseExpression(withConditional);
        if (!Current.IsOperator(","))
            return first;
        var items = new List<Expression> { first };
        while (SkipOperator(",") && !AtTupleEnd())
            items.Add(ParseExpression(withConditional));
        return new TupleLiteral(position, items);
    }

    private bool AtTupleEnd() => Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd || Current.IsOperator(")") || Current.IsName("recursive");

    private Expression ParseExpression(bool withConditional = true)
    {
        RenderContext.CheckStack();
        var position = Current.Position;
        var value = ParseOr();
        while (withConditional && SkipName("if"))
        {
            var condition = ParseOr();
            value = new Conditional(position, condition, value, SkipName("else") ? ParseExpression() : null);
        }
        return value;
    }

    private Expression ParseOr()
    {
        var left = ParseAnd();
        for (var position = Current.Position; SkipName("or"); position = Current.Position)
            left = new Or(position, left, ParseAnd());
        return left;
    }

    private Expression ParseAnd()
    {
        var left = ParseNot();
        for (var position = Current.Position; SkipName("and"); position = Current.Position)
            left = new And(position, left, ParseNot());
        return left;
    }

    private Expression ParseNot()
    {
        RenderContext.CheckStack();
        var position = Current.Position;
        return SkipName("not") ? new Not(position, ParseNot()) : ParseComparison();
    }

    private Expression ParseComparison()
    {
        var position = Current.Position;
        var first = ParseSum();
        var rest = new List<(string, Expression)>();
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && comparisons.Contains(Current.Text))
                rest.Add((Next().Text, ParseSum()));
            else if (SkipName("in"))
                rest.Add(("in", ParseSum()));
            else if (Current.IsName("not") && tokens[index + 1].IsName("in"))
            {
                index += 2;
                rest.Add(("not in", ParseSum()));
            }
            else
                return rest.Count == 0 ? first : new Comparison(position, first, rest);
        }
    }

    private Expression ParseSum() => ParseBinary(ParseConcatenation, "+", "-");

    private Expression ParseConcatenation()
    {
        var position = Current.Position;
        var parts = new List<Expression> { ParseProduct() };
        while (SkipOperator("~"))
            parts.Add(ParseProduct());
        return parts.Count == 1 ? parts[0] : new Concatenation(position, parts);
    }

    private Expression ParseProduct() => ParseBinary(ParsePower, "*", "/", "//", "%");

    private Expression ParsePower() => ParseBinary(() => ParseUnary(), "**");

    private Expression ParseBinary(Func<Expression> operand, params string[] symbols)
    {
        var left = operand();
        while (Current.Kind == TokenKind.Operator && symbols.Contains(Current.Text))
        {
            var token = Next();
            left = new Binary(token.Position, token.Text, left, operand());
        }
        return left;
    }

    private Expression ParseUnary(bool withFilters = true)
    {
        RenderContext.CheckStack();
        var position = Current.Position;
        Expression node;
        if (SkipOperator("-"))
            node = new Negation(position, ParseUnary(withFilters: false), negates: true);
        else if (SkipOperator("+"))
            node = new Negation(position, ParseUnary(withFilters: false), negates: false);
        else
            node = ParsePrimary();
        node = ParsePostfix(node);
        return withFilters ? ParseFiltersAndTests(node) : node;
    }

    private Expression ParsePrimary()
    {
        var token = Next();
        switch (token.Kind)
        {
            case TokenKind.Name: return ParseNamed(token);
            case TokenKind.Text: return ParseText(token);
            case TokenKind.Integer: return new Constant(token.Position, long.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Float: return new Constant(token.Position, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Operator when token.Text == "(": return ParseParenthesized(token);
            case TokenKind.Operator when token.Text == "[": return new ListLiteral(token.Position, ParseItems("]", () => ParseExpression()));
            case TokenKind.Operator when token.Text == "{": return new MappingLiteral(token.Position, ParseItems("}", ParseEntry));
            default: throw Fault($"an expression is expected, not {token.Described}", token);
        }
    }

    private Expression ParseNamed(Token token)
    {
        readsVarargs |= token.Text == "varargs";
        readsKwargs |= token.Text == "kwargs";
        return token.Text switch
        {
            "true" or "True" => new Constant(token.Position, true),
            "false" or "False" => new Constant(token.Position, false),
            "none" or "None" => new Constant(token.Position, null),
            _ => new Variable(token.Position, token.Text),
        };
    }

    private Constant ParseText(Token token)
    {
        var text = new StringBuilder(token.Text);
        while (Current.Kind == TokenKind.Text)
            text.Append(Next().Text);
        return new Constant(token.Position, text.ToString());
    }

    private Expression ParseParenthesized(Token token)
    {
        if (SkipOperator(")"))
            return new TupleLiteral(token.Position, []);
        var inner = ParseTuple();
        ExpectOperator(")");
        return inner;
    }

    private (Expression, Expression) ParseEntry()
    {
        var key = ParseExpression();
        ExpectOperator(":");
        return (key, ParseExpression());
    }

    /// <summary>Items with commas between them, up to and with <paramref name="end"/>; a last comma may stand there.</summary>
    private List<T> ParseItems<T>(string end, Func<T> parse)
    {
        var items = new List<T>();
        while (!SkipOperator(end))
        {
            if (items.Count > 0)
                ExpectOperator(",");
            if (SkipOperator(end))
                break;
            items.Add(parse());
        }
        return items;
    }

    private Expression ParsePostfix(Expression node)
    {
        while (true)
        {
            var position = Current.Position;
            if (SkipOperator("."))
                node = ParseAttribute(position, node);
            else if (SkipOperator("["))
                node = ParseSubscript(position, node);
            else if (Current.IsOperator("("))
                node = new Call(position, node, ParseArguments());
            else
                return node;
        }
    }

    private Expression ParseAttribute(Position position, Expression owner)
    {
        var token = Next();
        return token.Kind switch
        {
            TokenKind.Name => new Attribute(position, owner, token.Text),
            TokenKind.Integer => new Subscript(position, owner, new Constant(token.Position, long.Parse(token.Text, CultureInfo.InvariantCulture))),
            _ => throw Fault($"a name or a number is expected after '.', not {token.Described}", token),
        };
    }

    private Expression ParseSubscript(Position position, Expression owner)
    {
        var start = Current.IsOperator(":") ? null : ParseTuple();
        if (SkipOperator("]"))
            return new Subscript(position, owner, start ?? throw Fault("a subscript is empty", Current));
        ExpectOperator(":");
        var stop = Current.IsOperator(":") || Current.IsOperator("]") ? null : ParseExpression();
        var step = SkipOperator(":") && !Current.IsOperator("]") ? ParseExpression() : null;
        ExpectOperator("]");
        return new Slice(position, owner, start, stop, step);
    }

    private Expression ParseFiltersAndTests(Expression node)
    {
        while (true)
        {
            var position = Current.Position;
            if (Current.IsOperator("|"))
                node = ParseFilters(node)!;
            else if (SkipName("is"))
                node = ParseTest(position, node);
            else if (Current.IsOperator("("))
                node = new Call(position, node, ParseArguments());
            else
                return node;
        }
    }

    /// <returns>Null if there is no filter.</returns>
    private FilterCall? ParseFilters(Expression? subject)
    {
        FilterCall? filter = null;
        while (SkipOperator("|"))
            filter = ParseFilter(filter ?? subject);
        return filter;
    }

    private FilterCall ParseFilter(Expression? subject)
    {
        var token = ExpectName();
        var filter = Filters.Find(token.Text) ?? throw Fault($"there is no filter named '{token.Text}'", token);
        return new FilterCall(token.Position, subject, filter, Current.IsOperator("(") ? ParseArguments() : ArgumentList.Empty);
    }

    private Expression ParseTest(Position position, Expression subject)
    {
        var negated = SkipName("not");
        var token = ExpectName();
        var test = Tests.Find(token.Text) ?? throw Fault($"there is no test named '{token.Text}'", token);
        Expression node = new TestCall(position, subject, test, ParseTestArguments());
        return negated ? new Not(position, node) : node;
    }

    /// <summary>In parentheses, or a single one without them: <c>is divisibleby 3</c>.</summary>
    private ArgumentList ParseTestArguments()
    {
        if (Current.IsOperator("("))
            return ParseArguments();
        var startsArgument = Current.Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Float
            || Current.IsOperator("[") || Current.IsOperator("{")
            || (Current.Kind == TokenKind.Name && Current.Text is not ("else" or "or" or "and" or "is"));
        return startsArgument ? new ArgumentList([ParsePostfix(ParsePrimary())], [], null, null) : ArgumentList.Empty;
    }

    private ArgumentList ParseArguments()
    {
        var positional = new List<Expression>();
        var named = new List<(string Name, Expression Value)>();
        Expression? unpacked = null, unpackedNamed = null;
        ExpectOperator("(");
        ParseItems(")", () =>
        {
            var token = Current;
            if (SkipOperator("**"))
                unpackedNamed = ParseExpression();
            else if (SkipOperator("*"))
                unpacked = ParseExpression();
            else if (token.Kind == TokenKind.Name && tokens[index + 1].IsOperator("="))
            {
                index += 2;
                if (named.Exists(argument => argument.Name == token.Text))
                    throw Fault($"the argument '{token.Text}' is given twice", token);
                named.Add((token.Text, ParseExpression()));
            }
            else if (named.Count > 0 || unpacked is not null || unpackedNamed is not null)
                throw Fault("a positional argument follows a named one", token);
            else
                positional.Add(ParseExpression());
            return token;
        });
        return new ArgumentList(positional, named, unpacked, unpackedNamed);
    }
}
