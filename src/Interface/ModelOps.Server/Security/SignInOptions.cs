using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Security;

/// <summary>An OpenID Connect issuer whose access tokens are believed beside our own. Without <see cref="Issuer"/> there is none.</summary>
public sealed record SignInOptions : IValidatableObject
{
    public const string DefaultNameClaim = "sub";
    public const string DefaultRoleClaim = "roles";

    /// <summary>Its address, from which <c>/.well-known/openid-configuration</c> is read; https, or http on loopback.</summary>
    /// <value>The default is none.</value>
    public Uri? Issuer { get; init; }

    /// <summary>What its tokens must be meant for; needed with an issuer.</summary>
    public string? Audience { get; init; }

    /// <summary>The claim that names the user. Here the name is <c>oidc:</c> and its value: nobody takes a local user's name.</summary>
    /// <value>The default is <c>sub</c>.</value>
    public string NameClaim { get; init; } = DefaultNameClaim;

    /// <summary>The claim with the issuer's roles or groups.</summary>
    /// <value>The default is <c>roles</c>.</value>
    public string RoleClaim { get; init; } = DefaultRoleClaim;

    /// <summary>Which of our roles a value of the role claim gives. Of several the one that may do most counts.</summary>
    /// <value>The default is none: who is not mapped may do nothing.</value>
    public IReadOnlyDictionary<string, string> Roles { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Issuer is not null && !(Issuer.Scheme == Uri.UriSchemeHttps || (Issuer.Scheme == Uri.UriSchemeHttp && Issuer.IsLoopback)))
            yield return new($"'{Issuer}' must be an https address (http on loopback only)", [nameof(Issuer)]);
        if (Issuer is not null && string.IsNullOrEmpty(Audience))
            yield return new("it is missing: name what the issuer's tokens are meant for", [nameof(Audience)]);
        foreach (var map in Roles.Where(map => !Registry.Roles.All.Contains(map.Value, StringComparer.Ordinal)))
            yield return new($"{map.Key} is '{map.Value}'; a role is one of {string.Join(", ", Registry.Roles.All)}", [nameof(Roles)]);
    }
}
