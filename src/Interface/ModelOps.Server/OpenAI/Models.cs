using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.Deployments;
using ModelOps.Server.Files;
using ModelOps.Server.FineTuning;
using ModelOps.Server.Security;
using ModelOps.Workflows;

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

    /// <summary>Only what was fine-tuned through this API, by who did it: its artifacts stay, and can be deployed again.</summary>
    public static async Task<IResult> DeleteAsync(
        string id, ModelRouter router, DeploymentManager deployments, FineTuningJobs jobs, HttpContext context, CancellationToken cancellationToken)
    {
        var name = Uri.UnescapeDataString(id);
        router.Find(name);
        if (FineTunedModel.Parse(name) is not { } model) return Problems.Invalid($"{name} was not fine-tuned through this API; 'modelops deployments stop {name}' ends a deployment");
        var principal = context.Principal();
        if (await jobs.MakerOfAsync(model, cancellationToken) is { } maker && !FineTuningJobs.MayUse(maker, principal))
            return Problems.Of(ProblemTypes.Forbidden, StatusCodes.Status403Forbidden, $"{name} was made by {maker.CreatedBy}; only they and administrators delete it");
        AuditTrail.SetSubject(context, name);
        await deployments.DeleteAsync(name, cancellationToken);
        return Results.Json(new DeletedObject(name, "model", Deleted: true), OpenAIJson.Default.DeletedObject);
    }

    private static ModelEntry Entry(string id, ModelRoute route) => new(id, "model", route.CreatedAt.ToUnixTimeSeconds(), route.OwnedBy);
}
