using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

public sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

public sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy);

/// <summary>GET /v1/models: what answers now, under the names that requests use.</summary>
internal static class Models
{
    public static IResult List(ModelRouter router) =>
        Results.Json(new ModelList("list", [.. router.List().Select(route => Entry(route.Key, route.Value))]), OpenAIJson.Default.ModelList);

    public static IResult Get(string id, ModelRouter router) => Results.Json(Entry(id, router.Find(id)), OpenAIJson.Default.ModelEntry);

    private static ModelEntry Entry(string id, ModelRoute route) => new(id, "model", route.CreatedAt.ToUnixTimeSeconds(), route.OwnedBy);
}
