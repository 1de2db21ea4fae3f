namespace ModelOps.Client;

/// <summary>Signed artifacts and the files in them.</summary>
public sealed partial class ArtifactsClient
{
    private readonly ApiConnection connection;

    internal ArtifactsClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Registers files as the next version of an artifact; contents that the server already has are not sent again.</summary>
    /// <param name="progress">Called on the calling flow, not posted; null for none.</param>
    /// <exception cref="ModelOpsException">Invalid name or kind, a conflict, or a file that changed while it was sent.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public Task<Artifact> PushAsync(
        string name, string kind, LocalFiles files, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        PushAsync(name, kind, files, license: null, source: null, progress, cancellationToken);

    /// <inheritdoc cref="PushAsync(string, string, LocalFiles, IProgress{UploadProgress}?, CancellationToken)"/>
    /// <param name="license">SPDX expression, or the name of a licence.</param>
    /// <param name="source">Where the files come from.</param>
    public async Task<Artifact> PushAsync(
        string name, string kind, LocalFiles files, string? license, string? source, IProgress<UploadProgress>? progress,
        CancellationToken cancellationToken = default)
    {
        var total = files.Files.Sum(file => file.Size);
        var before = 0L;
        foreach (var file in files.Files)
        {
            await UploadAsync(files.FullPath(file), file, progress.Within(before, total), cancellationToken).ConfigureAwait(false);
            before += file.Size;
        }
        return await connection.PostAsync(
            "api/v1/artifacts", new CreateArtifact { Name = name, Kind = kind, Files = files.Files, License = license, Source = source },
            WireJson.Default.CreateArtifact, WireJson.Default.Artifact, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Uploads a file's bytes unless the server has them.</summary>
    /// <param name="file">Its digest when hashed; the server refuses other bytes.</param>
    internal async Task UploadAsync(
        string path, ArtifactFile file, IProgress<UploadProgress>? progress, CancellationToken cancellationToken)
    {
        var blob = $"api/v1/blobs/{file.Sha256}";
        if (!await connection.ExistsAsync(blob, cancellationToken).ConfigureAwait(false))
        {
            using var response = await connection.SendAsync(
                () => new HttpRequestMessage(HttpMethod.Put, blob) { Content = new FileContent(path, file, progress) }, cancellationToken)
                .ConfigureAwait(false);
        }
        progress?.Report(new UploadProgress(file.Path, file.Size, file.Size));
    }

    /// <param name="kind">model, adapter, gguf, dataset, index, reward or evaluation; null for all.</param>
    public async Task<IReadOnlyList<Artifact>> ListAsync(string? kind = null, CancellationToken cancellationToken = default)
    {
        var path = kind is null ? "api/v1/artifacts" : $"api/v1/artifacts?kind={Uri.EscapeDataString(kind)}";
        var page = await connection.GetAsync(path, WireJson.Default.PageArtifact, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    /// <param name="reference"><c>name</c> (its newest version), <c>name@version</c> or <c>name:alias</c>.</param>
    public Task<Artifact> GetAsync(string reference, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(reference), WireJson.Default.Artifact, cancellationToken);

    /// <summary>
    /// Checks signature, trust, every byte of every file, and the manifests of all ancestors up to the roots. A failed check is in the
    /// result, not an exception.
    /// </summary>
    public Task<Verification> VerifyAsync(string reference, CancellationToken cancellationToken = default) =>
        VerifyAsync(reference, deep: false, cancellationToken);

    /// <param name="deep">Also every byte of the ancestors' files.</param>
    public Task<Verification> VerifyAsync(string reference, bool deep, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(reference) + (deep ? "/verify?deep=true" : "/verify"), WireJson.Default.Verification, cancellationToken);

    /// <summary>Takes it out of use for good, with everything that was made from it. For approvers and admins.</summary>
    public async Task RevokeAsync(string reference, string reason, CancellationToken cancellationToken = default)
    {
        using var response = await connection.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, PathOf(reference) + "/revoke")
            {
                Content = new WireContent<RevocationReason>(new RevocationReason(reason), WireJson.Default.RevocationReason),
            },
            cancellationToken).ConfigureAwait(false);
    }

    private static string PathOf(string reference) => $"api/v1/artifacts/{ApiPath.Segment(reference)}";
}
