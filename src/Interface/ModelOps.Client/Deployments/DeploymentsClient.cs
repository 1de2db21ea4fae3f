namespace ModelOps.Client;

/// <summary>Models that answer, by name.</summary>
public sealed class DeploymentsClient
{
    private readonly ApiConnection connection;

    internal DeploymentsClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Verifies the artifact, loads it and gives it a name; returns when it answers.</summary>
    /// <exception cref="ModelOpsException">Verification failed, the name is taken, or the engine cannot load the file.</exception>
    public Task<Deployment> CreateAsync(CreateDeployment request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/deployments", request, WireJson.Default.CreateDeployment, WireJson.Default.Deployment, cancellationToken);

    public async Task<IReadOnlyList<Deployment>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/deployments", WireJson.Default.PageDeployment, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    public Task<Deployment> GetAsync(string name, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(name), WireJson.Default.Deployment, cancellationToken);

    public Task StopAsync(string name, CancellationToken cancellationToken = default) => connection.DeleteAsync(PathOf(name), cancellationToken);

    /// <summary>Serves an adapter beside the deployment's model, as <c>name:adapter</c>; one of the same name is replaced, requests under way finish on it.</summary>
    /// <exception cref="ModelOpsException">Verification failed, or the adapter was trained on another model.</exception>
    public Task<DeployedAdapter> AddAdapterAsync(string name, string adapter, string artifact, CancellationToken cancellationToken = default) =>
        connection.PutAsync(
            AdapterPath(name, adapter), new AddAdapter { Artifact = artifact }, WireJson.Default.AddAdapter, WireJson.Default.DeployedAdapter, cancellationToken);

    public Task RemoveAdapterAsync(string name, string adapter, CancellationToken cancellationToken = default) =>
        connection.DeleteAsync(AdapterPath(name, adapter), cancellationToken);

    public async Task<IReadOnlyList<DeployedAdapter>> ListAdaptersAsync(string name, CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync($"{PathOf(name)}/adapters", WireJson.Default.PageDeployedAdapter, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    private static string AdapterPath(string name, string adapter) => $"{PathOf(name)}/adapters/{ApiPath.Segment(adapter)}";

    private static string PathOf(string name) => $"api/v1/deployments/{ApiPath.Segment(name)}";
}
