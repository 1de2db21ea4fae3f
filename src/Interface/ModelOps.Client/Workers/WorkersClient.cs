namespace ModelOps.Client;

/// <summary>The processes in which activities and models run.</summary>
public sealed class WorkersClient
{
    private readonly ApiConnection connection;

    internal WorkersClient(ApiConnection connection) => this.connection = connection;

    /// <summary>The worker processes of the server that answers; of several servers each lists its own.</summary>
    public async Task<IReadOnlyList<Worker>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/workers", WireJson.Default.PageWorker, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    /// <summary>Asks whether this client's key may work for the server.</summary>
    /// <exception cref="ModelOpsException">It may not.</exception>
    public async Task CheckAccessAsync(CancellationToken cancellationToken = default)
    {
        using var settings = await connection.SendAsync(() => new HttpRequestMessage(HttpMethod.Get, "api/v1/workers/settings"), cancellationToken)
            .ConfigureAwait(false);
    }
}
