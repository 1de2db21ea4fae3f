namespace ModelOps.Client;

/// <summary>Who may use the server; for administrators.</summary>
public sealed class UsersClient
{
    private readonly ApiConnection connection;

    internal UsersClient(ApiConnection connection) => this.connection = connection;

    /// <exception cref="ModelOpsException">The name is taken, or something of it is not valid.</exception>
    public Task<User> CreateAsync(CreateUser request, CancellationToken cancellationToken = default) =>
        connection.PostAsync("api/v1/users", request, WireJson.Default.CreateUser, WireJson.Default.User, cancellationToken);

    public async Task<IReadOnlyList<User>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/users", WireJson.Default.PageUser, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    public Task<User> GetAsync(string name, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(name), WireJson.Default.User, cancellationToken);

    /// <summary>Another role, or disabled, or enabled. It ends the user's sessions.</summary>
    /// <exception cref="ModelOpsException">A conflict when no administrator would be left.</exception>
    public Task<User> UpdateAsync(string name, UpdateUser request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(name), request, WireJson.Default.UpdateUser, WireJson.Default.User, cancellationToken);

    /// <summary>Gives the user another password and ends its sessions.</summary>
    public Task<User> SetPasswordAsync(string name, string password, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            PathOf(name) + "/password", new SetPassword { Password = password }, WireJson.Default.SetPassword, WireJson.Default.User, cancellationToken);

    /// <summary>Removes the user, its sessions and its API keys.</summary>
    /// <exception cref="ModelOpsException">A conflict when no administrator would be left.</exception>
    public Task RemoveAsync(string name, CancellationToken cancellationToken = default) => connection.DeleteAsync(PathOf(name), cancellationToken);

    private static string PathOf(string name) => $"api/v1/users/{ApiPath.Segment(name)}";
}
