using System.Text;
using System.Text.Json;

namespace ModelOps.Tables.Datasets.Queries;

/// <summary>What DuckDB's parser says of a query (json_serialize_sql, which knows SELECT alone).</summary>
internal static class QuerySyntax
{
    private const int MaxDepth = 1000;
    private const string OnlySelect =
        "only a SELECT can be asked (also written FROM, WITH, VALUES, DESCRIBE or SUMMARIZE): the rows of a dataset's version never change";

    public static QueryAnswer Read(string sql, string syntax)
    {
        try
        {
            using var document = JsonDocument.Parse(syntax, new JsonDocumentOptions { MaxDepth = MaxDepth });
            var root = document.RootElement;
            if (root.GetProperty("error").GetBoolean()) return Refuse(sql, root);
            if (root.GetProperty("statements").GetArrayLength() is not 1 and var count)
                return new QueryAnswer.Refused(count == 0 ? "the query is empty" : $"{count} statements were sent; ask one at a time");
            var tables = new HashSet<TableName>();
            Collect(root, tables);
            return new QueryAnswer.Understood([.. tables]);
        }
        catch (JsonException)
        {
            return new QueryAnswer.Refused("the query is nested too deeply");
        }
    }

    /// <summary>Whether it is a DESCRIBE, SUMMARIZE or SHOW, which has to stand in brackets where a SELECT need not.</summary>
    public static bool IsShown(string sql)
    {
        var word = sql.AsSpan().TrimStart();
        return word.StartsWith("DESC", StringComparison.OrdinalIgnoreCase) || word.StartsWith("SUMMARIZE", StringComparison.OrdinalIgnoreCase)
            || word.StartsWith("SHOW", StringComparison.OrdinalIgnoreCase);
    }

    /// <param name="position">In bytes of UTF-8; outside of the query: not known.</param>
    public static QueryAnswer.Refused At(string sql, int position, string message)
    {
        var bytes = Encoding.UTF8.GetBytes(sql);
        if (position < 0 || position > bytes.Length) return new(message);
        var before = Encoding.UTF8.GetString(bytes.AsSpan(0, position));
        return new(message, before.Count(letter => letter == '\n') + 1, before.Length - (before.LastIndexOf('\n') + 1) + 1);
    }

    private static QueryAnswer.Refused Refuse(string sql, JsonElement error)
    {
        var message = error.GetProperty("error_message").GetString()!;
        if (error.GetProperty("error_type").GetString() == "not implemented") return new(OnlySelect);
        var position = error.TryGetProperty("position", out var text) && int.TryParse(text.GetString(), out var at) ? at : -1;
        return At(sql, position, message);
    }

    private static void Collect(JsonElement node, HashSet<TableName> tables)
    {
        if (node.ValueKind == JsonValueKind.Array)
            foreach (var item in node.EnumerateArray()) Collect(item, tables);
        if (node.ValueKind != JsonValueKind.Object) return;
        if (Text(node, "type") == "BASE_TABLE" && Text(node, "catalog_name") is "" && Text(node, "schema_name") is { } schema && Text(node, "table_name") is { } table
            && DatasetTables.Names.FirstOrDefault(name => name.Equals(table, StringComparison.OrdinalIgnoreCase)) is { } known)
            tables.Add(new(schema is "" or "main" ? null : schema, known)); // DuckDB's own name for what stands without one
        foreach (var member in node.EnumerateObject()) Collect(member.Value, tables);
    }

    private static string? Text(JsonElement node, string name) =>
        node.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
