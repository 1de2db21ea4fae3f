using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Security;

namespace ModelOps.Server.Deployments;

public static class DeploymentEndpoints
{
    private const int SmallestContext = 64;
    private const int MostSlots = 256;

    public static void MapDeployments(this IEndpointRouteBuilder api)
    {
        var deployments = api.MapGroup("/deployments").WithTags("deployments");
        deployments.MapGet("/", (DeploymentManager manager) => new Page<Deployment>(manager.List()))
            .WithName("listDeployments").WithSummary("Lists what is served.");
        deployments.MapGet("/{name}", (string name, DeploymentManager manager) =>
            manager.Get(name) is { } deployment ? Results.Ok(deployment) : NoSuchDeployment(name))
            .WithName("getDeployment").WithSummary("Tells of a deployment.").Produces<Deployment>();
        deployments.MapPost("/", CreateAsync)
            .WithName("createDeployment").WithSummary("Verifies and loads a gguf artifact and serves it under a name.").Produces<Deployment>(StatusCodes.Status201Created);
        deployments.MapDelete("/{name}", async (string name, DeploymentManager manager, CancellationToken cancellationToken) =>
            await manager.DeleteAsync(name, cancellationToken) ? Results.NoContent() : NoSuchDeployment(name))
            .WithName("deleteDeployment").WithSummary("Ends a deployment.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> CreateAsync(
        CreateDeployment create, DeploymentManager manager, HttpContext context, CancellationToken cancellationToken)
    {
        List<string> errors = [.. ManifestRules.CheckName(create.Name)];
        if (create.ContextSize < SmallestContext) errors.Add($"context_size must be at least {SmallestContext}, not {create.ContextSize}");
        if (create.Slots is < 1 or > MostSlots) errors.Add($"slots must be from 1 to {MostSlots}, not {create.Slots}");
        if (errors.Count > 0) return Problems.Invalid(errors);
        return await manager.CreateAsync(create, context.User.Identity!.Name!, cancellationToken) switch
        {
            DeployResult.Deployed deployed => Results.Created($"/api/v1/deployments/{create.Name}", deployed.Deployment),
            DeployResult.NoSuchArtifact => ArtifactEndpoints.NoSuchArtifact(create.Artifact),
            DeployResult.Refused refused => Refuse(refused, create.Artifact, context),
            DeployResult.Invalid invalid => Problems.Invalid(invalid.Reason),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static IResult Refuse(DeployResult.Refused refused, string artifact, HttpContext context)
    {
        AuditTrail.SetSubject(context, artifact);
        return Problems.VerificationFailed(refused.Reason);
    }

    private static IResult NoSuchDeployment(string name) => Problems.NotFound($"no deployment {name}; GET /api/v1/deployments lists them");
}
