namespace ModelOps.Client;

/// <summary>Datasets and their versions.</summary>
public sealed class DatasetsClient
{
    private readonly ApiConnection connection;
    private readonly ArtifactsClient artifacts;

    internal DatasetsClient(ApiConnection connection, ArtifactsClient artifacts)
    {
        this.connection = connection;
        this.artifacts = artifacts;
    }

    /// <summary>Uploads a file and starts the <c>ingestion</c> job that makes it the dataset's next version.</summary>
    /// <param name="options">null takes the server's defaults.</param>
    public async Task<Job> CreateVersionAsync(
        string name, string path, IngestionOptions? options = null, IProgress<UploadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        var file = await LocalFiles.HashFileAsync(path, cancellationToken).ConfigureAwait(false);
        await artifacts.UploadAsync(Path.GetFullPath(path), file, progress, cancellationToken).ConfigureAwait(false);
        return await connection.PostAsync(
            $"api/v1/datasets/{ApiPath.Segment(name)}/versions",
            new CreateDatasetVersion { Source = file.Sha256, FileName = file.Path, Options = options },
            WireJson.Default.CreateDatasetVersion, WireJson.Default.Job, cancellationToken).ConfigureAwait(false);
    }

    public async Task<IReadOnlyList<Dataset>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/datasets", WireJson.Default.PageDataset, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    public Task<DatasetVersion> GetVersionAsync(string name, string version, CancellationToken cancellationToken = default) =>
        connection.GetAsync(
            $"api/v1/datasets/{ApiPath.Segment(name)}/versions/{ApiPath.Segment(version)}", WireJson.Default.DatasetVersion, cancellationToken);

    public Task<Dataset> GetAsync(string name, CancellationToken cancellationToken = default) =>
        connection.GetAsync($"api/v1/datasets/{ApiPath.Segment(name)}", WireJson.Default.Dataset, cancellationToken);
}
