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

    /// <summary>A dataset with the report of the last version that is told of.</summary>
    /// <param name="version">null: all of them.</param>
    public Task<Dataset> GetAsync(string name, string? version = null, CancellationToken cancellationToken = default) =>
        connection.GetAsync(
            $"api/v1/datasets/{ApiPath.Segment(name)}{(version is null ? "" : $"?version={Uri.EscapeDataString(version)}")}",
            WireJson.Default.Dataset, cancellationToken);
}
