using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>API keys: everybody's own; administrators see, make and revoke those of others too.</summary>
public static class KeyEndpoints
{
    public static void MapKeys(this IEndpointRouteBuilder api)
    {
        var keys = api.MapGroup("/keys").WithTags("keys");
        keys.MapGet("/", async (ApiKeys store, HttpContext context, CancellationToken cancellationToken) =>
            new Page<ApiKey>([.. (await store.ListAsync(OnlyOf(context.Principal()), cancellationToken)).Select(ToWire)]))
            .WithName("listKeys").WithSummary("Lists API keys, never their secrets.");
        keys.MapPost("/", CreateAsync)
            .WithName("createKey").WithSummary("Makes an API key; its secret is shown this once.").Produces<CreatedApiKey>(StatusCodes.Status201Created);
        keys.MapDelete("/{id}", async (string id, ApiKeys store, HttpContext context, CancellationToken cancellationToken) =>
            await store.RevokeAsync(id, OnlyOf(context.Principal()), context.Principal().Name, cancellationToken)
                ? Results.NoContent()
                : Problems.NotFound($"no key {id} of yours that is not revoked; GET /api/v1/keys lists them"))
            .WithName("revokeKey").WithSummary("Revokes an API key at once.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> CreateAsync(CreateApiKey create, ApiKeys keys, HttpContext context, CancellationToken cancellationToken)
    {
        var by = context.Principal();
        if (Check(create, by) is { Count: > 0 } errors) return Problems.Invalid(errors);
        if (create.User is { } user && user != by.Name && OnlyOf(by) is not null)
            return Problems.Of(ProblemTypes.Forbidden, StatusCodes.Status403Forbidden, $"only {Roles.Admin} makes keys for others; leave user out for your own");
        // A key never makes one that may do more than itself.
        var role = create.Role ?? (create.User is null || create.User == by.Name ? by.Role : null);
        return await keys.CreateAsync(new NewApiKey(create.Name, create.User ?? by.Name, role, create.Scopes, create.ExpiresAt), by.Name, cancellationToken) switch
        {
            KeyCreation.Created created => Results.Created($"/api/v1/keys/{created.Key.Id}", new CreatedApiKey(ToWire(created.Key), created.Secret)),
            KeyCreation.NoSuchUser missing => UserEndpoints.NoSuchUser(missing.Name),
            KeyCreation.Invalid invalid => Problems.Invalid(invalid.Errors),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static List<string> Check(CreateApiKey create, ApiPrincipal by)
    {
        List<string> errors =
        [
            .. create.Scopes.Where(scope => !Access.Scopes.Contains(scope, StringComparer.Ordinal))
                .Select(scope => $"the scope '{scope}' is unknown; known are {string.Join(", ", Access.Scopes)}"),
        ];
        var own = by.Scopes.Split(' ');
        if (!own.Contains(ApiKeys.AllScopes, StringComparer.Ordinal))
            errors.AddRange(create.Scopes.Except(own, StringComparer.Ordinal).Select(scope => $"your own key has not the scope '{scope}': it cannot give it"));
        if (by.Role != Roles.Admin && create.Role is { } role && role != by.Role && role != Roles.Viewer)
            errors.Add($"your role is {by.Role}; your keys have it or {Roles.Viewer}, not {role}");
        return errors;
    }

    /// <returns>Null: of everybody.</returns>
    private static string? OnlyOf(ApiPrincipal principal) =>
        principal.Role == Roles.Admin && principal.OwnerRole is null or Roles.Admin ? null : principal.Name;

    private static ApiKey ToWire(ApiKeyRow row) => new()
    {
        Id = row.Id,
        Name = row.Name,
        User = row.User!.Name,
        Role = row.Role,
        Scopes = row.Scopes.Split(' '),
        CreatedAt = row.CreatedAt,
        ExpiresAt = row.ExpiresAt,
        RevokedAt = row.RevokedAt,
        LastUsedAt = row.LastUsedAt,
    };
}
