namespace ModelOps.Registry;

public sealed class ApiKeyRow
{
    public required string Id { get; set; }
    public required string Name { get; set; }
    /// <summary>Whose it is.</summary>
    public required string UserId { get; set; }
    /// <summary>SHA-256 of the secret, hex.</summary>
    public required string Hash { get; set; }
    /// <summary>The key may do what both this role and its owner's may do.</summary>
    public required string Role { get; set; }
    /// <summary>Separated by spaces; <c>*</c>: all that the roles allow.</summary>
    public required string Scopes { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
    /// <summary>To within a minute.</summary>
    public DateTimeOffset? LastUsedAt { get; set; }
    public UserRow? User { get; set; }
}
