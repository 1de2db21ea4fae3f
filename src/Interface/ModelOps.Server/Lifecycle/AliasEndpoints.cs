using System.Security.Claims;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Security;

namespace ModelOps.Server.Lifecycle;

public static class AliasEndpoints
{
    public static void MapAliases(this IEndpointRouteBuilder artifacts)
    {
        artifacts.MapGet("/{name}/aliases", async (string name, ArtifactAliases aliases, CancellationToken cancellationToken) =>
            new Page<Alias>(
            [
                .. (await aliases.ListAsync(name, cancellationToken))
                    .Select(alias => new Alias(alias.Name, alias.Alias, alias.Version, alias.Digest, alias.By, alias.At)),
            ]))
            .WithName("listAliases").WithSummary("Lists the aliases of an artifact's name.");
        artifacts.MapGet("/{name}/alias-moves", async (string name, ArtifactAliases aliases, CancellationToken cancellationToken) =>
            new Page<AliasMove>(
            [
                .. (await aliases.HistoryAsync(name, cancellationToken))
                    .Select(move => new AliasMove(move.Alias, move.From, move.To, move.By, move.At)),
            ]))
            .WithName("listAliasMoves").WithSummary("Lists who moved which alias when, newest first.");
        artifacts.MapPut("/{name}/aliases/{alias}", SetAsync)
            .WithName("setAlias").WithSummary("Moves an alias to a version in one step, if it is where it is expected.").Produces<Artifact>();
        artifacts.MapDelete("/{name}/aliases/{alias}", RemoveAsync)
            .WithName("removeAlias").WithSummary("Removes an alias.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> SetAsync(
        string name,
        string alias,
        MoveAlias move,
        ArtifactAliases aliases,
        ArtifactViews views,
        ClaimsPrincipal user,
        CancellationToken cancellationToken)
    {
        var reference = $"{name}@{move.Version}";
        var change = await aliases.SetAsync(reference, alias, user.AsPrincipal()!, move.IfIs, cancellationToken);
        return change is AliasChange.Moved ? Results.Ok(await views.GetAsync(reference, cancellationToken)) : Refused(change, $"{name}:{alias}");
    }

    private static async Task<IResult> RemoveAsync(
        string name,
        string alias,
        [Microsoft.AspNetCore.Mvc.FromQuery(Name = "if_is")] string? ifIs,
        ArtifactAliases aliases,
        ClaimsPrincipal user,
        CancellationToken cancellationToken)
    {
        var change = await aliases.RemoveAsync(name, alias, user.AsPrincipal()!, ifIs, cancellationToken);
        return change switch
        {
            AliasChange.Moved => Results.NoContent(),
            AliasChange.NotFound => Problems.NotFound($"no alias {name}:{alias}; GET /api/v1/artifacts/{name}/aliases lists them"),
            _ => Refused(change, $"{name}:{alias}"),
        };
    }

    private static IResult Refused(AliasChange change, string alias) => change switch
    {
        AliasChange.NotFound missing => ArtifactEndpoints.NoSuchArtifact(missing.Reference),
        AliasChange.Archived archived => Problems.Conflict($"{archived.Reference} is archived; an alias points to what is in use"),
        AliasChange.Changed { Version: null } => Problems.Conflict($"there is no alias {alias}; nothing was changed"),
        AliasChange.Changed changed => Problems.Conflict($"{alias} points to version {changed.Version}; nothing was changed"),
        AliasChange.Invalid invalid => Problems.Invalid(invalid.Error),
        _ => throw new InvalidOperationException($"unknown outcome {change}"),
    };
}
