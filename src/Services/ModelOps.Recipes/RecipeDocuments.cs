using System.Text;
using System.Text.Json.Nodes;

namespace ModelOps.Recipes;

/// <summary>The recipe's keys for editors and for people.</summary>
public static class RecipeDocuments
{
    /// <summary>JSON schema (draft 2020-12) of a recipe.</summary>
    public static JsonObject Schema()
    {
        var properties = new JsonObject();
        foreach (var field in RecipeFields.All)
        {
            var schema = field.Value.Schema();
            if (field.TakesAuto) schema = new() { ["anyOf"] = new JsonArray(new JsonObject { ["const"] = RecipeFields.Auto }, schema) };
            schema["description"] = Description(field);
            properties[field.Name] = schema;
        }
        return new()
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "ModelOps training recipe",
            ["type"] = "object",
            ["properties"] = properties,
            ["additionalProperties"] = false,
        };
    }

    /// <summary>A Markdown table of the keys.</summary>
    public static string Table()
    {
        var table = new StringBuilder("| key | takes | default | |\n| --- | --- | --- | --- |\n");
        foreach (var field in RecipeFields.All)
            table.Append("| `").Append(field.Name).Append("` | ").Append(field.Value.Takes).Append(" | ")
                .Append(field.DefaultRule is { } rule ? $"auto: {rule}" : $"`{field.Default}`").Append(" | ").Append(field.Summary).Append(" |\n");
        return table.ToString();
    }

    private static string Description(RecipeField field) =>
        field.DefaultRule is { } rule ? $"{field.Summary} Default: auto ({rule})." : $"{field.Summary} Default: {field.Default}.";
}
