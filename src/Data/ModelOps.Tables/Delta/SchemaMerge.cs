using System.Text.Json.Nodes;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Whether rows of one schema fit a table of another, and what the table's becomes where it may grow. On the JSON of the log, so that
/// what other writers keep with a column stays with it.
/// </summary>
internal sealed class SchemaMerge
{
    private readonly bool mayGrow;
    private readonly List<string> faults = [];

    private SchemaMerge(bool mayGrow) => this.mayGrow = mayGrow;

    private bool HasGrown { get; set; }

    /// <param name="table">The table's schemaString.</param>
    /// <returns>The grown schemaString; null: it stays as it is.</returns>
    /// <exception cref="ArgumentException">The rows do not fit; all that is wrong is said.</exception>
    public static string? Fit(string path, string table, Schema rows, SchemaMode mode)
    {
        var merge = new SchemaMerge(mode == SchemaMode.Merge);
        var merged = JsonNode.Parse(table)!.AsObject();
        merge.Struct("", merged, JsonNode.Parse(SchemaJson.Render(rows))!.AsObject());
        return merge.faults.Count > 0
            ? throw new ArgumentException($"the rows do not fit {path}: {string.Join("; ", merge.faults)}", nameof(rows))
            : merge.HasGrown ? merged.ToJsonString() : null;
    }

    private void Struct(string prefix, JsonObject table, JsonObject rows)
    {
        var columns = Fields(table);
        var written = Fields(rows);
        foreach (var field in written)
        {
            var name = NameOf(field);
            if (columns.Find(column => string.Equals(NameOf(column), name, StringComparison.OrdinalIgnoreCase)) is { } column)
            {
                if (NameOf(column) != name) faults.Add($"column {prefix}{name} is called {prefix}{NameOf(column)} in the table");
                Nullable($"column {prefix}{name}", "nullable", column, field);
                Type($"{prefix}{name}", "type", column, field);
            }
            else if (mayGrow) Add(table, field);
            else faults.Add($"column {prefix}{name} is not in the table");
        }
        foreach (var column in columns.Where(column => !IsNullable(column, "nullable")))
            if (!written.Exists(field => string.Equals(NameOf(field), NameOf(column), StringComparison.OrdinalIgnoreCase)))
                faults.Add($"column {prefix}{NameOf(column)}, which must not be null, is missing");
    }

    private void Type(string name, string member, JsonObject table, JsonObject rows)
    {
        var (ours, theirs) = (table[member]!, rows[member]!);
        switch (Kind(ours), Kind(theirs))
        {
            case ("struct", "struct"):
                Struct($"{name}.", ours.AsObject(), theirs.AsObject());
                break;
            case ("array", "array"):
                Nullable($"an element of {name}", "containsNull", ours.AsObject(), theirs.AsObject());
                Type($"{name}.element", "elementType", ours.AsObject(), theirs.AsObject());
                break;
            case ("map", "map"):
                Type($"{name}.key", "keyType", ours.AsObject(), theirs.AsObject());
                Nullable($"a value of {name}", "valueContainsNull", ours.AsObject(), theirs.AsObject());
                Type($"{name}.value", "valueType", ours.AsObject(), theirs.AsObject());
                break;
            case var (one, other) when one != other:
                faults.Add($"column {name} is {one} in the table and {other} in the rows");
                break;
        }
    }

    private void Nullable(string what, string member, JsonObject table, JsonObject rows)
    {
        if (IsNullable(table, member) || !IsNullable(rows, member)) return;
        if (!mayGrow)
        {
            faults.Add($"{what} must not be null in the table and may be in the rows");
            return;
        }
        table[member] = true;
        HasGrown = true;
    }

    private void Add(JsonObject table, JsonObject field)
    {
        var added = field.DeepClone();
        added["nullable"] = true; // the rows that are there have none
        table["fields"]!.AsArray().Add(added);
        HasGrown = true;
    }

    private static List<JsonObject> Fields(JsonObject type) => [.. type["fields"]!.AsArray().Select(field => field!.AsObject())];

    private static string NameOf(JsonObject field) => field["name"]!.GetValue<string>();

    private static bool IsNullable(JsonObject field, string member) => field[member]!.GetValue<bool>();

    private static string Kind(JsonNode type) => type is JsonObject nested ? nested["type"]!.GetValue<string>() : type.GetValue<string>();
}
