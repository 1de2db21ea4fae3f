namespace ModelOps.Registry;

/// <summary>A person or a service that may do what its role may do.</summary>
public sealed class UserRow
{
    public required string Id { get; set; }
    public required string Name { get; set; }
    public required string Role { get; set; }
    /// <summary>Salted and slow. Null: the user cannot sign in and uses API keys only.</summary>
    public string? PasswordHash { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    /// <summary>Null while the password is the one that the user was created with.</summary>
    public DateTimeOffset? PasswordChangedAt { get; set; }
    public DateTimeOffset? DisabledAt { get; set; }
}
