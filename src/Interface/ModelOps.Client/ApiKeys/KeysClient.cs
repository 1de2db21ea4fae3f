namespace ModelOps.Client;

public sealed record ApiKey
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public required string User { get; init; }
    public required string Role { get; init; }
    /// <inheritdoc cref="CreateApiKey.Scopes"/>
    public required IReadOnlyList<string> Scopes { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? RevokedAt { get; init; }
    /// <summary>To within a minute; null: never.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }
}

public sealed record CreateApiKey
{
    /// <summary>Says where the key is used.</summary>
    public required string Name { get; init; }
    /// <summary>Whose key it is; others than oneself only for administrators.</summary>
    /// <value>The default is who asks.</value>
    public string? User { get; init; }
    /// <summary>The key may do what both this role and its user's may do.</summary>
    /// <value>The default is the user's role.</value>
    public string? Role { get; init; }
    /// <summary>Narrows the role: <c>inference</c>, <c>artifacts:read</c>, <c>artifacts:write</c>…; <c>*</c>: all that the role may do.</summary>
    /// <value>The default is <c>*</c>.</value>
    public IReadOnlyList<string> Scopes { get; set; } = ["*"];
    /// <summary>Null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <param name="Secret">Shown only now: <c>mo_</c> and 43 characters.</param>
public sealed record CreatedApiKey(ApiKey Key, string Secret);

/// <summary>API keys: one's own, and for administrators everybody's.</summary>
public sealed class KeysClient
{
    private readonly ApiConnection connection;

    internal KeysClient(ApiConnection connection) => this.connection = connection;

    public Task<CreatedApiKey> CreateAsync(CreateApiKey request, CancellationToken cancellationToken = default) =>
        connection.PostAsync("api/v1/keys", request, WireJson.Default.CreateApiKey, WireJson.Default.CreatedApiKey, cancellationToken);

    /// <summary>Newest first, revoked ones too.</summary>
    public async Task<IReadOnlyList<ApiKey>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/keys", WireJson.Default.PageApiKey, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    /// <summary>The key is refused from now on.</summary>
    public Task RevokeAsync(string id, CancellationToken cancellationToken = default) =>
        connection.DeleteAsync($"api/v1/keys/{ApiPath.Segment(id)}", cancellationToken);
}
