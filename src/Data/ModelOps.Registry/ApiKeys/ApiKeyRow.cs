namespace ModelOps.Registry;

public sealed class ApiKeyRow
{
    public required string Id { get; set; }
    public required string Name { get; set; }
    /// <summary>SHA-256 of the secret, hex. The secret has 256 random bits: no salt or slow hash is needed.</summary>
    public required string Hash { get; set; }
    public required string Role { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}
