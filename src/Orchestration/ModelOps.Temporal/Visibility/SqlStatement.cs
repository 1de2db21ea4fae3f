using System.Text;

namespace ModelOps.Temporal.Visibility;

/// <param name="Text">SQL for SQLite with the parameters <c>$p0</c>, <c>$p1</c>, …, each used once and in that order.</param>
/// <param name="Parameters">Their values: string, long, double, byte[] or null.</param>
public sealed record SqlStatement(string Text, IReadOnlyList<object?> Parameters);

/// <summary>Collects the text of a statement and its parameters.</summary>
internal sealed class SqlBuilder
{
    private readonly StringBuilder text = new();
    private readonly List<object?> parameters = [];

    public SqlBuilder Add(string sql)
    {
        text.Append(sql);
        return this;
    }

    public SqlBuilder Value(object? value)
    {
        text.Append("$p").Append(parameters.Count);
        parameters.Add(value);
        return this;
    }

    public SqlStatement Build() => new(text.ToString(), parameters);
}
