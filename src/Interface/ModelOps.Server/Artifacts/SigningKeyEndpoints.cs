using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

/// <summary>The keys that sign artifacts: everybody may read the public ones, admins change what is believed.</summary>
public static class SigningKeyEndpoints
{
    public static void MapSigningKeys(this IEndpointRouteBuilder api)
    {
        var group = api.MapGroup("/signing-keys").WithTags("signing keys");
        group.MapGet("/", (SigningKeys keys) => new Page<SigningKeyInfo>([.. keys.List().Select(key => ToWire(key, keys))]))
            .WithName("listSigningKeys").WithSummary("Lists the keys whose signatures are trusted or were revoked.");
        group.MapGet("/{keyId}", (string keyId, SigningKeys keys) =>
            keys.Find(keyId) is { } key ? Results.Ok(ToWire(key, keys)) : NoSuchKey(keyId))
            .WithName("getSigningKey").WithSummary("Tells of a signing key, its public part included.").Produces<SigningKeyInfo>();
        group.MapPost("/", async (TrustSigningKey trust, SigningKeys keys, HttpContext context, CancellationToken cancellationToken) =>
            Answer(await keys.TrustAsync(trust.PublicKey, trust.Name, NameOf(context), cancellationToken), keys))
            .WithName("trustSigningKey").WithSummary("Trusts another installation's key.").Produces<SigningKeyInfo>();
        group.MapPost("/rotate", async (SigningKeys keys, HttpContext context, CancellationToken cancellationToken) =>
            Results.Ok(ToWire(await keys.RotateAsync(NameOf(context), cancellationToken), keys)))
            .WithName("rotateSigningKey").WithSummary("Signs with a new key from now on; the old one stays trusted.").Produces<SigningKeyInfo>();
        group.MapPost("/{keyId}/revoke", async (
            string keyId, RevocationReason body, SigningKeys keys, HttpContext context, CancellationToken cancellationToken) =>
            Answer(await keys.RevokeAsync(keyId, body.Reason, NameOf(context), cancellationToken), keys))
            .WithName("revokeSigningKey").WithSummary("Revokes a key: what it signed is refused from now on.").Produces<SigningKeyInfo>();
    }

    private static string NameOf(HttpContext context) => context.User.Identity!.Name!;

    private static IResult Answer(KeyChange change, SigningKeys keys) => change switch
    {
        KeyChange.Changed changed => Results.Ok(ToWire(changed.Key, keys)),
        KeyChange.Refused refused => Problems.Conflict(refused.Reason),
        KeyChange.Invalid invalid => Problems.Invalid(invalid.Errors),
        KeyChange.NotFound missing => NoSuchKey(missing.KeyId),
        var other => throw new InvalidOperationException($"unknown outcome {other}"),
    };

    private static IResult NoSuchKey(string keyId) => Problems.NotFound($"no signing key {keyId}; GET /api/v1/signing-keys lists them");

    private static SigningKeyInfo ToWire(TrustedKey key, SigningKeys keys) => new()
    {
        KeyId = key.KeyId,
        Fingerprint = key.Public.Fingerprint,
        PublicKey = key.Public.Pem,
        Current = key.KeyId == keys.CurrentId,
        Name = key.Added?.Name,
        AddedBy = key.Added?.By,
        AddedAt = key.Added?.At,
        RevokedReason = key.Revocation?.Reason,
        RevokedBy = key.Revocation?.By,
        RevokedAt = key.Revocation?.At,
    };
}
