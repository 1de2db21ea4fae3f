namespace ModelOps.Registry;

/// <summary>One sign-in, from the password to the logout.</summary>
/// <remarks>No foreign key to the user: the sessions of a removed user stay, revoked, until their access tokens have expired.</remarks>
public sealed class SessionRow
{
    public required string Id { get; set; }
    public required string UserId { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    /// <summary>When its access token was made or last made anew.</summary>
    public required DateTimeOffset RefreshedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>A refresh token of a session. It works once; it stays, spent, so that a second use is recognized.</summary>
public sealed class RefreshTokenRow
{
    /// <summary>SHA-256 of the secret, hex.</summary>
    public required string Hash { get; set; }
    public required string SessionId { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? SpentAt { get; set; }
}
