using System.Globalization;

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
    public Task<Job> CreateVersionAsync(
        string name, string path, IngestionOptions? options = null, IProgress<UploadProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        CreateVersionAsync(name, path, JobPriority.Normal, options, progress, cancellationToken);

    /// <inheritdoc cref="CreateVersionAsync(string, string, IngestionOptions, IProgress{UploadProgress}, CancellationToken)"/>
    /// <param name="priority">Of the job.</param>
    public async Task<Job> CreateVersionAsync(
        string name, string path, JobPriority priority, IngestionOptions? options = null, IProgress<UploadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        var file = await LocalFiles.HashFileAsync(path, cancellationToken).ConfigureAwait(false);
        await artifacts.UploadAsync(Path.GetFullPath(path), file, progress, cancellationToken).ConfigureAwait(false);
        return await connection.PostAsync(
            $"{Of(name)}/versions",
            new CreateDatasetVersion { Source = file.Sha256, FileName = file.Path, Options = options, Priority = priority },
            WireJson.Default.CreateDatasetVersion, WireJson.Default.Job, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Uploads a file and tells what would become of it, from its first rows. Nothing is made of it.</summary>
    /// <param name="options">null takes the server's defaults.</param>
    /// <exception cref="ModelOpsException">No row of the file would be taken; it says why.</exception>
    public async Task<DatasetPreview> PreviewAsync(
        string path, IngestionOptions? options = null, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var file = await LocalFiles.HashFileAsync(path, cancellationToken).ConfigureAwait(false);
        await artifacts.UploadAsync(Path.GetFullPath(path), file, progress, cancellationToken).ConfigureAwait(false);
        return await connection.PostAsync(
            "api/v1/datasets/preview", new PreviewDataset { Source = file.Sha256, FileName = file.Path, Options = options },
            WireJson.Default.PreviewDataset, WireJson.Default.DatasetPreview, cancellationToken).ConfigureAwait(false);
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
            $"{Of(name)}{(version is null ? "" : $"?version={Uri.EscapeDataString(version)}")}",
            WireJson.Default.Dataset, cancellationToken);

    /// <summary>A page of the rows that a query asks for.</summary>
    public Task<QueryResult> QueryAsync(string name, QueryDataset query, CancellationToken cancellationToken = default) =>
        connection.PostAsync($"{Of(name)}/query", query, WireJson.Default.QueryDataset, WireJson.Default.QueryResult, cancellationToken);

    /// <summary>All rows that a query asks for, as a file of the query's format (csv or parquet).</summary>
    public async Task QueryAsync(string name, QueryDataset query, Stream target, CancellationToken cancellationToken = default)
    {
        using var response = await connection.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, $"{Of(name)}/query") { Content = new WireContent<QueryDataset>(query, WireJson.Default.QueryDataset) },
            cancellationToken).ConfigureAwait(false);
        await response.Content.CopyToAsync(target, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The rows that a version has and another has not.</summary>
    /// <param name="from">null: the version before <paramref name="to"/>.</param>
    /// <param name="to">null: the newest.</param>
    /// <param name="limit">Most rows of the page; null: 100.</param>
    /// <param name="cursor">The <see cref="DatasetDiff.Next"/> of the page before.</param>
    public Task<DatasetDiff> DiffAsync(
        string name, string? from = null, string? to = null, int? limit = null, string? cursor = null, CancellationToken cancellationToken = default)
    {
        var query = new (string Name, string? Value)[] { ("from", from), ("to", to), ("limit", limit?.ToString(CultureInfo.InvariantCulture)), ("cursor", cursor) };
        var text = string.Join('&', query.Where(item => item.Value is not null).Select(item => $"{item.Name}={Uri.EscapeDataString(item.Value!)}"));
        return connection.GetAsync($"{Of(name)}/diff{(text.Length == 0 ? "" : "?")}{text}", WireJson.Default.DatasetDiff, cancellationToken);
    }

    /// <summary>How a dataset's versions came to be, newest first.</summary>
    public async Task<IReadOnlyList<DatasetHistoryEntry>> HistoryAsync(string name, CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync($"{Of(name)}/history", WireJson.Default.PageDatasetHistoryEntry, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    private static string Of(string name) => $"api/v1/datasets/{ApiPath.Segment(name)}";
}
