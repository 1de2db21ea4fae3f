using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

public enum ComparisonOperator
{
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// <summary>
/// A condition on rows, in SQL's three-valued logic: comparing with null is neither true nor false. NaN equals itself and is above all other
/// numbers, text is in the order of its UTF-8 bytes, as Spark and DuckDB have it.
/// </summary>
public abstract record Predicate
{
    private Predicate()
    {
    }

    /// <summary>
    /// From SQL: <c>=, !=, &lt;&gt;, &lt;, &lt;=, &gt;, &gt;=, [NOT] IN (…), [NOT] BETWEEN … AND …, IS [NOT] NULL, AND, OR, NOT, TRUE, FALSE</c>, columns
    /// as <c>name</c>, <c>struct.member</c> or <c>`any name`</c>, texts, dates and times as <c>'…'</c>.
    /// </summary>
    /// <exception cref="FormatException">It is no condition on these columns; the message says where and why.</exception>
    public static Predicate Parse(string text, Schema schema) => new PredicateParser(text, schema).Parse();

    /// <summary>Of the batch's rows, which are true, false or (null) unknown. The batch has the columns of the schema it was parsed for.</summary>
    public BooleanArray Evaluate(RecordBatch batch)
    {
        var rows = new BooleanArray.Builder().Reserve(batch.Length);
        foreach (var outcome in RowEvaluation.Of(this, batch))
            _ = outcome == Outcomes.Null ? rows.AppendNull() : rows.Append(outcome == Outcomes.True);
        return rows.Build();
    }

    /// <summary>The columns that it looks at, by the name of the outermost.</summary>
    internal IEnumerable<string> Columns => this switch
    {
        Comparison comparison => [comparison.Column.Path[0].Name],
        In any => [any.Column.Path[0].Name],
        IsNull missing => [missing.Column.Path[0].Name],
        Not not => not.Operand.Columns,
        And and => and.Operands.SelectMany(operand => operand.Columns).Distinct(StringComparer.Ordinal),
        Or or => or.Operands.SelectMany(operand => operand.Columns).Distinct(StringComparer.Ordinal),
        _ => [],
    };

    internal sealed record Comparison(ColumnReference Column, ComparisonOperator Operator, ColumnValue Value) : Predicate;

    internal sealed record In(ColumnReference Column, IReadOnlyList<ColumnValue> Values) : Predicate;

    internal sealed record IsNull(ColumnReference Column) : Predicate;

    internal sealed record And(IReadOnlyList<Predicate> Operands) : Predicate;

    internal sealed record Or(IReadOnlyList<Predicate> Operands) : Predicate;

    internal sealed record Not(Predicate Operand) : Predicate;

    internal sealed record Constant(bool Value) : Predicate;
}

/// <param name="Path">From the outermost column to the member meant.</param>
internal sealed record ColumnReference(IReadOnlyList<Field> Path)
{
    public string Name => string.Join('.', Path.Select(part => part.Name));

    public IArrowType Type => Path[^1].DataType;

    /// <param name="names">Exact, or in another case where that leaves no doubt.</param>
    /// <exception cref="FormatException">There is no such column.</exception>
    public static ColumnReference Resolve(IReadOnlyList<string> names, Schema schema)
    {
        var path = new List<Field>();
        IReadOnlyList<Field> fields = schema.FieldsList;
        foreach (var name in names)
        {
            path.Add(fields.FirstOrDefault(field => field.Name == name)
                ?? fields.FirstOrDefault(field => string.Equals(field.Name, name, StringComparison.OrdinalIgnoreCase))
                ?? throw new FormatException(
                    $"there is no column {string.Join('.', names)}; there {(fields.Count == 1 ? "is" : "are")} {string.Join(", ", fields.Select(field => field.Name))}"));
            fields = path[^1].DataType is StructType parent ? parent.Fields : [];
        }
        return new(path);
    }
}
