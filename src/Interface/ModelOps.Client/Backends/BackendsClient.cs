namespace ModelOps.Client;

/// <summary>The servers of others whose models are offered too.</summary>
public sealed class BackendsClient
{
    private readonly ApiConnection connection;

    internal BackendsClient(ApiConnection connection) => this.connection = connection;

    public async Task<IReadOnlyList<BackendStatus>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/backends", WireJson.Default.PageBackendStatus, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }
}
