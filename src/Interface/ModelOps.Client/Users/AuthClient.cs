namespace ModelOps.Client;

/// <summary>Sessions: signing in, staying so, signing out.</summary>
public sealed class AuthClient
{
    private readonly ApiConnection connection;

    internal AuthClient(ApiConnection connection) => this.connection = connection;

    /// <exception cref="ModelOpsException">The user or the password is wrong, or there were too many wrong ones before.</exception>
    public Task<SessionTokens> SignInAsync(string user, string password, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/auth/login", new SignIn { User = user, Password = password }, WireJson.Default.SignIn, WireJson.Default.SessionTokens, cancellationToken);

    /// <summary>Spends the refresh token for new tokens. A second use of one ends the session.</summary>
    public Task<SessionTokens> RefreshAsync(string refreshToken, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/auth/refresh", new RefreshSession { RefreshToken = refreshToken },
            WireJson.Default.RefreshSession, WireJson.Default.SessionTokens, cancellationToken);

    /// <summary>Ends the session of the access token that this client sends.</summary>
    public Task SignOutAsync(CancellationToken cancellationToken = default) =>
        connection.PostAsync("api/v1/auth/logout", cancellationToken);

    /// <summary>Changes the password of who asks, and ends all of their sessions.</summary>
    public Task ChangePasswordAsync(string current, string password, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/auth/password", new ChangePassword { Current = current, Password = password }, WireJson.Default.ChangePassword, cancellationToken);

    public Task<WhoAmI> WhoAmIAsync(CancellationToken cancellationToken = default) =>
        connection.GetAsync("api/v1/auth/whoami", WireJson.Default.WhoAmI, cancellationToken);

    /// <summary>Who may use which endpoint of the server.</summary>
    public async Task<IReadOnlyList<AccessEntry>> AccessAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/access", WireJson.Default.PageAccessEntry, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }
}
