using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Security;

namespace ModelOps.Server.Deployments;

public static class DeploymentEndpoints
{
    private const int SmallestContext = 64;
    private const int MostSlots = 256;
    private const int LongestQueue = 100_000;
    private const int LongestKeepAlive = 30 * 24 * 60 * 60;

    public static void MapDeployments(this IEndpointRouteBuilder api)
    {
        var deployments = api.MapGroup("/deployments").WithTags("deployments");
        deployments.MapGet("/", async (DeploymentManager manager, CancellationToken cancellationToken) =>
            {
                await manager.RefreshAsync(cancellationToken);
                return new Page<Deployment>(manager.List());
            })
            .WithName("listDeployments").WithSummary("Lists what is served.");
        deployments.MapGet("/{name}", async (string name, DeploymentManager manager, CancellationToken cancellationToken) =>
            {
                await manager.RefreshAsync(cancellationToken);
                return manager.Get(name) is { } deployment ? Results.Ok(deployment) : NoSuchDeployment(name);
            })
            .WithName("getDeployment").WithSummary("Tells of a deployment.").Produces<Deployment>();
        deployments.MapPost("/", CreateAsync)
            .WithName("createDeployment").WithSummary("Verifies and loads a gguf artifact, with adapters, and serves it under a name; replaces one of that name.")
            .Produces<Deployment>(StatusCodes.Status201Created);
        deployments.MapDelete("/{name}", async (string name, DeploymentManager manager, CancellationToken cancellationToken) =>
            await manager.DeleteAsync(name, cancellationToken) ? Results.NoContent() : NoSuchDeployment(name))
            .WithName("deleteDeployment").WithSummary("Ends a deployment.").Produces(StatusCodes.Status204NoContent);
        MapAdapters(deployments.MapGroup("/{name}/adapters"));
    }

    private static void MapAdapters(RouteGroupBuilder adapters)
    {
        adapters.MapGet("/", (string name, DeploymentManager manager) =>
            manager.Get(name) is { } deployment ? Results.Ok(new Page<DeployedAdapter>(deployment.Adapters)) : NoSuchDeployment(name))
            .WithName("listDeploymentAdapters").WithSummary("Lists the adapters that a deployment serves.").Produces<Page<DeployedAdapter>>();
        adapters.MapPut("/{adapter}", AddAdapterAsync)
            .WithName("putDeploymentAdapter").WithSummary("Verifies and loads an adapter and serves it as deployment:adapter; replaces one of that name.")
            .Produces<DeployedAdapter>();
        adapters.MapDelete("/{adapter}", async (string name, string adapter, DeploymentManager manager, CancellationToken cancellationToken) =>
            await manager.RemoveAdapterAsync(name, adapter, cancellationToken)
                ? Results.NoContent()
                : Problems.NotFound($"no adapter {adapter} of a deployment {name}; GET /api/v1/deployments/{name}/adapters lists them"))
            .WithName("deleteDeploymentAdapter").WithSummary("Ends the serving of an adapter.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> CreateAsync(
        CreateDeployment create, DeploymentManager manager, HttpContext context, CancellationToken cancellationToken)
    {
        List<string> errors = [.. ManifestRules.CheckName(create.Name), .. create.Adapters.Keys.SelectMany(ManifestRules.CheckName).Select(error => $"adapters: {error}")];
        if (create.Replicas < 1) errors.Add($"replicas must be at least 1, not {create.Replicas}");
        if (create.Replicas > manager.MostReplicas)
            errors.Add($"replicas is {create.Replicas}, each in a worker of its own; workers:inference:max is {manager.MostReplicas}");
        if (create.ContextSize < SmallestContext) errors.Add($"context_size must be at least {SmallestContext}, not {create.ContextSize}");
        if (create.Slots is < 1 or > MostSlots) errors.Add($"slots must be from 1 to {MostSlots}, not {create.Slots}");
        if (create.QueueLength is < 1 or > LongestQueue) errors.Add($"queue_length must be from 1 to {LongestQueue}, not {create.QueueLength}");
        if (create.KeepAliveSeconds is < 1 or > LongestKeepAlive) errors.Add($"keep_alive_seconds must be from 1 to {LongestKeepAlive}, not {create.KeepAliveSeconds}");
        if (errors.Count > 0) return Problems.Invalid(errors);
        var result = await manager.CreateAsync(create, context.User.Identity!.Name!, cancellationToken);
        return result is DeployResult.Deployed deployed
            ? Results.Created($"/api/v1/deployments/{create.Name}", deployed.Deployment)
            : Refuse(result, create.Name, create.Artifact, context);
    }

    private static async Task<IResult> AddAdapterAsync(
        string name, string adapter, AddAdapter add, DeploymentManager manager, HttpContext context, CancellationToken cancellationToken)
    {
        if (ManifestRules.CheckName(adapter) is { Count: > 0 } errors) return Problems.Invalid(errors);
        var result = await manager.AddAdapterAsync(name, adapter, add.Artifact, context.User.Identity!.Name!, cancellationToken);
        return result is DeployResult.Deployed { Deployment: var deployment }
            ? Results.Ok(deployment.Adapters.Single(served => served.Name == adapter))
            : Refuse(result, name, add.Artifact, context);
    }

    private static IResult Refuse(DeployResult result, string name, string artifact, HttpContext context)
    {
        switch (result)
        {
            case DeployResult.NoSuchDeployment:
                return NoSuchDeployment(name);
            case DeployResult.NoSuchArtifact missing:
                return ArtifactEndpoints.NoSuchArtifact(missing.Reference);
            case DeployResult.Refused refused:
                AuditTrail.SetSubject(context, artifact);
                return Problems.VerificationFailed(refused.Reason);
            case DeployResult.Invalid invalid:
                return Problems.Invalid(invalid.Faults);
            case DeployResult.TooLow low:
                return Problems.Of(ProblemTypes.GatesNotMet, StatusCodes.Status409Conflict, low.Gates[0], low.Gates);
            default:
                throw new InvalidOperationException($"unknown outcome {result}");
        }
    }

    private static IResult NoSuchDeployment(string name) => Problems.NotFound($"no deployment {name}; GET /api/v1/deployments lists them");
}
