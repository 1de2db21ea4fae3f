namespace ModelOps.Client;

public sealed record User
{
    public required string Name { get; init; }
    /// <summary>viewer, engineer, approver, admin or service.</summary>
    public required string Role { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>False: it has no password and uses API keys only.</summary>
    public required bool HasPassword { get; init; }
    /// <summary>Null: it is not disabled.</summary>
    public DateTimeOffset? DisabledAt { get; init; }
}

public sealed record CreateUser
{
    public required string Name { get; init; }
    /// <inheritdoc cref="User.Role"/>
    public required string Role { get; init; }
    /// <summary>At least 12 characters. Null: the user has no password and uses API keys only.</summary>
    public string? Password { get; init; }
}

/// <summary>What is null stays as it is.</summary>
public sealed record UpdateUser
{
    public string? Role { get; init; }
    public bool? Disabled { get; init; }
}

public sealed record SetPassword
{
    public required string Password { get; init; }
}

public sealed record ChangePassword
{
    public required string Current { get; init; }
    public required string Password { get; init; }
}

public sealed record SignIn
{
    public required string User { get; init; }
    public required string Password { get; init; }
}

public sealed record RefreshSession
{
    /// <summary>It works once: the answer holds the next one.</summary>
    public required string RefreshToken { get; init; }
}

/// <summary>A session: what OAuth 2 answers, and whose it is.</summary>
public sealed record SessionTokens
{
    /// <summary>JWT, ES256.</summary>
    public required string AccessToken { get; init; }
    /// <summary><c>Bearer</c></summary>
    public required string TokenType { get; init; }
    /// <summary>Seconds that the access token lives.</summary>
    public required int ExpiresIn { get; init; }
    public required string RefreshToken { get; init; }
    public required string User { get; init; }
    public required string Role { get; init; }
}

/// <summary>Who asks, and what they may.</summary>
public sealed record WhoAmI
{
    public required string Name { get; init; }
    /// <summary>Null for the user of an external issuer that no role was mapped to.</summary>
    public string? Role { get; init; }
    /// <summary><c>*</c>: all that the role allows.</summary>
    public required IReadOnlyList<string> Scopes { get; init; }
    /// <summary>session, key or issuer.</summary>
    public required string Via { get; init; }
}

/// <summary>Who may use an endpoint.</summary>
public sealed record AccessEntry
{
    public required string Method { get; init; }
    public required string Path { get; init; }
    /// <summary>Whether it answers everybody.</summary>
    public required bool Public { get; init; }
    /// <summary>Whether the table of access names it; what it does not name is refused to all.</summary>
    public required bool Listed { get; init; }
    public required IReadOnlyList<string> Roles { get; init; }
    public string? Scope { get; init; }
}
