using System.Text.Json;

namespace ModelOps.Temporal.Visibility;

/// <summary>Writes filters and fields as SQL over the visibility table.</summary>
internal static class VisibilitySql
{
    public static SqlBuilder Add(this SqlBuilder sql, VisibilityFilter filter) => filter switch
    {
        VisibilityFilter.And and => sql.Add("(").Add(and.Left).Add(" AND ").Add(and.Right).Add(")"),
        VisibilityFilter.Or or => sql.Add("(").Add(or.Left).Add(" OR ").Add(or.Right).Add(")"),
        VisibilityFilter.Not not => sql.Add("(NOT ").Add(not.Filter).Add(")"),
        VisibilityFilter.HasValue { Field: var field } => field.Column is { } column
            ? sql.Add($"({column} IS NOT NULL)")
            : sql.Add("(json_type(search_attributes, ").Value(VisibilityTable.Path(field.Name)).Add(") IS NOT NULL)"),
        VisibilityFilter.In { Field: { Kind: FieldKind.KeywordList } field, Values: var values } => sql.HasAny(field, values),
        VisibilityFilter.In { Field: var field, Values: var values } =>
            sql.Add("(").Add(field).Add(" IN (SELECT value FROM json_each(").Value(Json(values)).Add(")))"),
        VisibilityFilter.Compare compare => sql.Add(compare),
        _ => throw new NotSupportedException(filter.GetType().Name),
    };

    public static SqlBuilder Add(this SqlBuilder sql, VisibilityField field) => field.Column is { } column
        ? sql.Add(column)
        : sql.Add("json_extract(search_attributes, ").Value(VisibilityTable.Path(field.Name)).Add(")");

    private static SqlBuilder Add(this SqlBuilder sql, VisibilityFilter.Compare compare)
    {
        var (field, comparison, value) = compare;
        if (field.Kind is FieldKind.KeywordList or FieldKind.Text)
        {
            object[] wanted = field.Kind == FieldKind.Text ? [.. VisibilityTable.Words((string)value)] : [value];
            return comparison == Comparison.Equal ? sql.HasAny(field, wanted) : sql.Add("(NOT ").HasAny(field, wanted).Add(")");
        }
        return comparison == Comparison.StartsWith
            ? sql.Add("(instr(").Add(field).Add(", ").Value(value).Add(") = 1)")
            : sql.Add("(").Add(field).Add(Operator(comparison)).Value(value).Add(")");
    }

    /// <summary>Of a keyword list, or of the words of a text: one of the values is in it. Null where the attribute is not set.</summary>
    private static SqlBuilder HasAny(this SqlBuilder sql, VisibilityField field, IReadOnlyList<object> values)
    {
        var path = VisibilityTable.Path(field.Name);
        return sql.Add("iif(json_type(search_attributes, ").Value(path).Add(") IS NULL, NULL, EXISTS (SELECT 1 FROM json_each(search_attributes, ").Value(path)
            .Add(") WHERE value IN (SELECT value FROM json_each(").Value(Json(values)).Add("))))");
    }

    private static string Operator(Comparison comparison) => comparison switch
    {
        Comparison.Equal => " = ",
        Comparison.NotEqual => " <> ",
        Comparison.Greater => " > ",
        Comparison.GreaterOrEqual => " >= ",
        Comparison.Less => " < ",
        Comparison.LessOrEqual => " <= ",
        _ => throw new NotSupportedException($"{comparison}"),
    };

    /// <summary>One parameter for a list of any length, and one text of SQL for all lengths.</summary>
    private static string Json(IEnumerable<object> values) => Json(writer =>
    {
        writer.WriteStartArray();
        foreach (var value in values) writer.WriteValue(value);
        writer.WriteEndArray();
    });

    public static string Json(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer)) write(writer);
        return System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    public static void WriteValue(this Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null: writer.WriteNullValue(); break;
            case string text: writer.WriteStringValue(text); break;
            case long number: writer.WriteNumberValue(number); break;
            case double number: writer.WriteNumberValue(number); break;
            default: throw new NotSupportedException(value.GetType().Name);
        }
    }
}
