using System.Text.Json;

namespace ModelOps.Temporal.Visibility;

/// <summary>A list filter (docs.temporal.io/list-filter), parsed and ready to run over <see cref="VisibilityTable"/>.</summary>
public sealed class VisibilityQuery
{
    private readonly VisibilityFilter? filter;
    private readonly IReadOnlyList<VisibilityOrder> order;

    private VisibilityQuery(VisibilityFilter? filter, IReadOnlyList<VisibilityOrder> order, bool groupsByStatus) =>
        (this.filter, this.order, GroupsByStatus) = (filter, order, groupsByStatus);

    /// <summary>Whether a count is asked for per status.</summary>
    public bool GroupsByStatus { get; }

    /// <param name="text">Empty for every run.</param>
    /// <param name="attributes">Types of the namespace's own search attributes.</param>
    /// <exception cref="VisibilityException">The query is wrong; the message names the position and what was expected there.</exception>
    public static VisibilityQuery Parse(string? text, IReadOnlyDictionary<string, IndexedValueType> attributes)
    {
        var (filter, order, grouped) = new QueryParser(text ?? "", attributes).Parse();
        return new(filter, order, grouped);
    }

    /// <summary>
    /// Reads one page. A row is <c>info</c> (a WorkflowExecutionInfo), then the values that make the token of the page after it
    /// (<see cref="PageToken"/>): paging holds under inserts and deletes, as a page begins after a row's values and not at a number.
    /// </summary>
    /// <param name="after">Token of the page before; null or empty for the first page.</param>
    /// <exception cref="VisibilityException">The query groups, or the token is not one of this query's.</exception>
    public SqlStatement Page(string @namespace, int size, string? after)
    {
        if (GroupsByStatus) throw new VisibilityException("invalid query: GROUP BY is for counts, not for lists");
        var sql = new SqlBuilder().Add("SELECT info");
        foreach (var key in Keys()) key.Write(sql.Add(", "));
        Where(sql, @namespace);
        if (!string.IsNullOrEmpty(after)) After(sql.Add(" AND "), [.. Keys().Zip(ReadToken(after))]);
        var separator = " ORDER BY ";
        foreach (var key in Keys())
        {
            key.Write(sql.Add(separator)).Add(key.Descending ? " DESC" : "");
            separator = ", ";
        }
        return sql.Add(" LIMIT ").Value((long)size).Build();
    }

    /// <summary>Reads one number, or with <see cref="GroupsByStatus"/> rows of status and number.</summary>
    /// <exception cref="VisibilityException">The query orders.</exception>
    public SqlStatement Count(string @namespace)
    {
        if (order.Count > 0) throw new VisibilityException("invalid query: ORDER BY is for lists, not for counts");
        var sql = new SqlBuilder().Add(GroupsByStatus ? "SELECT status, count(*)" : "SELECT count(*)");
        Where(sql, @namespace);
        return sql.Add(GroupsByStatus ? " GROUP BY status ORDER BY status" : "").Build();
    }

    /// <param name="key">What follows <c>info</c> in the last row of a page.</param>
    public static string PageToken(IEnumerable<object?> key) => VisibilitySql.Json(writer =>
    {
        writer.WriteStartArray();
        foreach (var value in key) writer.WriteValue(value);
        writer.WriteEndArray();
    });

    private void Where(SqlBuilder sql, string @namespace)
    {
        sql.Add(" FROM visibility WHERE namespace = ").Value(@namespace);
        if (filter != null) sql.Add(" AND ").Add(filter);
    }

    /// <summary>What rows are ordered by; the run id last, so that no two rows are equal.</summary>
    private IEnumerable<Key> Keys()
    {
        if (order.Count == 0)
        {
            yield return new(sql => sql.Add(VisibilityTable.ClosedOrder), Descending: true);
            yield return new(sql => sql.Add("start_time"), Descending: true);
        }
        foreach (var (field, descending) in order) yield return new(sql => sql.Add(field), descending);
        yield return new(sql => sql.Add("run_id"), Descending: true);
    }

    /// <summary>Rows after the one with these values: beyond it in the first key, or equal there and after it in the rest. Null comes before all else.</summary>
    private static void After(SqlBuilder sql, ReadOnlySpan<(Key Key, object? Value)> last)
    {
        if (last.IsEmpty)
        {
            sql.Add("0");
            return;
        }
        var (key, value) = last[0];
        Beyond(sql.Add("("), key, value);
        key.Write(sql.Add(" OR (")).Add(" IS ").Value(value).Add(" AND ");
        After(sql, last[1..]);
        sql.Add("))");
    }

    private static void Beyond(SqlBuilder sql, Key key, object? value)
    {
        if (value is null && key.Descending)
        {
            sql.Add("0");
            return;
        }
        key.Write(sql.Add("("));
        if (value is null) sql.Add(" IS NOT NULL)");
        else if (!key.Descending) sql.Add(" > ").Value(value).Add(")");
        else key.Write(sql.Add(" < ").Value(value).Add(" OR ")).Add(" IS NULL)");
    }

    private List<object?> ReadToken(string token)
    {
        try
        {
            using var document = JsonDocument.Parse(token);
            var values = document.RootElement.EnumerateArray().Select(value => value.ValueKind switch
            {
                JsonValueKind.Null => null,
                JsonValueKind.String => (object?)value.GetString(),
                _ => value.TryGetInt64(out var whole) ? (object)whole : value.GetDouble(), // not both as a double
            }).ToList();
            if (values.Count == Keys().Count()) return values;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            // said below
        }
        throw new VisibilityException("the page token is not one that this query gave");
    }

    private sealed record Key(Func<SqlBuilder, SqlBuilder> Write, bool Descending);
}
