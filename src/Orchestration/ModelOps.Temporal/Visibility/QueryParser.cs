namespace ModelOps.Temporal.Visibility;

/// <summary>Recursive descent over Temporal's list filter (docs.temporal.io/list-filter): OR binds weakest, then AND, then NOT.</summary>
internal sealed class QueryParser(string query, IReadOnlyDictionary<string, IndexedValueType> attributes)
{
    private const int MaxDepth = 100; // of parentheses and NOT: what recursion is given
    private const int MaxConditions = 500; // SQLite takes expressions 1,000 deep, and a chain of ANDs is one

    private readonly List<QueryToken> tokens = QueryTokens.Of(query);
    private int at;
    private int depth;
    private int conditions;

    private QueryToken Current => tokens[at];

    public (VisibilityFilter? Filter, IReadOnlyList<VisibilityOrder> Order, bool GroupByStatus) Parse()
    {
        VisibilityFilter? filter = null;
        if (Current.Kind != TokenKind.End && !Current.Is("ORDER") && !Current.Is("GROUP")) filter = Alternatives();
        var grouped = Take("GROUP");
        if (grouped) GroupField();
        var order = Take("ORDER") ? Order() : [];
        if (Current.Kind != TokenKind.End) throw Expected("AND, OR, GROUP BY, ORDER BY or the end");
        return (filter, order, grouped);
    }

    private VisibilityFilter Alternatives()
    {
        var filter = Conjunction();
        while (Take("OR")) filter = new VisibilityFilter.Or(filter, Conjunction());
        return filter;
    }

    private VisibilityFilter Conjunction()
    {
        var filter = Term();
        while (Take("AND")) filter = new VisibilityFilter.And(filter, Term());
        return filter;
    }

    private VisibilityFilter Term()
    {
        if (depth == MaxDepth) throw Invalid($"parentheses and NOT go deeper than {MaxDepth}");
        depth++;
        VisibilityFilter filter;
        if (Take("NOT")) filter = new VisibilityFilter.Not(Term());
        else if (Take("("))
        {
            filter = Alternatives();
            Require(")");
        }
        else filter = Condition();
        depth--;
        return filter;
    }

    private VisibilityFilter Condition()
    {
        if (++conditions > MaxConditions) throw Invalid($"the query has more than {MaxConditions} conditions");
        var field = Field();
        if (Take("IS"))
        {
            var negated = Take("NOT");
            Require("NULL");
            var has = new VisibilityFilter.HasValue(field);
            return negated ? has : new VisibilityFilter.Not(has);
        }
        var not = Take("NOT");
        VisibilityFilter filter;
        if (Current.Is("IN")) filter = In(field);
        else if (Current.Is("BETWEEN")) filter = Between(field);
        else if (Current.Is("STARTS_WITH")) filter = Compare(field, Comparison.StartsWith);
        else if (!not && Operator() is { } comparison) filter = Compare(field, comparison);
        else throw Expected(not ? "IN, BETWEEN or STARTS_WITH" : $"=, !=, >, >=, <, <=, IN, BETWEEN, STARTS_WITH or IS after {field.Name}");
        return not ? new VisibilityFilter.Not(filter) : filter;
    }

    private VisibilityFilter.Compare Compare(VisibilityField field, Comparison comparison)
    {
        Allow(field, comparison switch
        {
            Comparison.Equal or Comparison.NotEqual => true,
            Comparison.StartsWith => field.Kind == FieldKind.Keyword,
            _ => IsOrdered(field),
        });
        at++;
        return new(field, comparison, Value(field));
    }

    private VisibilityFilter.In In(VisibilityField field)
    {
        Allow(field, field.Kind is not (FieldKind.Text or FieldKind.Bool));
        at++;
        Require("(");
        var values = new List<object>();
        do values.Add(Value(field)); while (Take(","));
        Require(")");
        return new(field, values);
    }

    private VisibilityFilter.And Between(VisibilityField field)
    {
        Allow(field, IsOrdered(field));
        at++;
        var low = new VisibilityFilter.Compare(field, Comparison.GreaterOrEqual, Value(field));
        Require("AND");
        return new(low, new VisibilityFilter.Compare(field, Comparison.LessOrEqual, Value(field)));
    }

    private static bool IsOrdered(VisibilityField field) =>
        field.Kind is FieldKind.Keyword or FieldKind.Int or FieldKind.Double or FieldKind.Datetime or FieldKind.Duration;

    private void Allow(VisibilityField field, bool allowed)
    {
        if (!allowed) throw Invalid($"{Current} is not for {field.Name}, which is of type {field.Kind}");
    }

    private Comparison? Operator() => Current is not { Kind: TokenKind.Symbol, Text: var symbol } ? null : symbol switch
    {
        "=" => Comparison.Equal,
        "!=" or "<>" => Comparison.NotEqual,
        ">" => Comparison.Greater,
        ">=" => Comparison.GreaterOrEqual,
        "<" => Comparison.Less,
        "<=" => Comparison.LessOrEqual,
        _ => null,
    };

    private object Value(VisibilityField field)
    {
        var token = Current;
        if (token.Kind is TokenKind.End or TokenKind.Symbol || token.Escaped
            || field.Value(token.Text, token.Kind == TokenKind.Text) is not { } value || (value is string text && text.Contains('\0', StringComparison.Ordinal)))
            throw Expected($"{field.Expected} for {field.Name}");
        at++;
        return value;
    }

    private VisibilityField Field()
    {
        var token = Current;
        if (token.Kind != TokenKind.Name) throw Expected("a field or search attribute");
        var field = VisibilityField.Find(token.Text, attributes) ?? throw Invalid($"there is no field or search attribute {token.Text}");
        at++;
        return field;
    }

    private void GroupField()
    {
        Require("BY");
        if (Field().Kind == FieldKind.Status) return;
        at--;
        throw Expected("ExecutionStatus, the only field to group by");
    }

    private List<VisibilityOrder> Order()
    {
        Require("BY");
        var order = new List<VisibilityOrder>();
        do
        {
            var field = Field();
            if (field.Kind is FieldKind.Text or FieldKind.KeywordList)
            {
                at--;
                throw Invalid($"{field.Name}, which is of type {field.Kind}, has no order");
            }
            var descending = Take("DESC");
            if (!descending) Take("ASC");
            order.Add(new(field, descending));
        }
        while (Take(","));
        return order;
    }

    private bool Take(string keyword)
    {
        if (!Current.Is(keyword)) return false;
        at++;
        return true;
    }

    private void Require(string keyword)
    {
        if (!Take(keyword)) throw Expected(keyword);
    }

    private VisibilityException Expected(string what) => Invalid($"expected {what}, found {Current}");

    private VisibilityException Invalid(string what) => new($"invalid query: position {Current.Position}: {what}");
}
