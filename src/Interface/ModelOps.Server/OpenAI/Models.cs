using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

public sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

public sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy);

/// <summary>GET /v1/models: what answers now, under the names that requests use.</summary>
internal static class Models
{
    public static IResult List(ModelRouter router) =>
        Results.Json(new ModelList("list", [.. router.List().Select(route => Entry(route.Key, route.Value))]), OpenAIJson.Default.ModelList);

    /// <param name="id">A slash in a name, as in org/name, comes escaped: a route value keeps it so.</param>
    public static IResult Get(string id, ModelRouter router)
    {
        var name = Uri.UnescapeDataString(id);
        return Results.Json(Entry(name, router.Find(name)), OpenAIJson.Default.ModelEntry);
    }

    private static ModelEntry Entry(string id, ModelRoute route) => new(id, "model", route.CreatedAt.ToUnixTimeSeconds(), route.OwnedBy);
}
