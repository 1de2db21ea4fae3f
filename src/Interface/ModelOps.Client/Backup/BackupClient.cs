using System.Security.Cryptography;

namespace ModelOps.Client;

/// <summary>The server's metadata as one file; for administrators.</summary>
public sealed class BackupClient
{
    private const int BufferSize = 256 * 1024;
    private readonly ApiConnection connection;

    internal BackupClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Writes a backup to a file: complete or not at all, mode 0600, in place of one of that name.</summary>
    /// <param name="withKeys">Whether the signing keys go with it: who has such a file can sign in the server's name.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public async Task<BackupFile> CreateAsync(string path, bool withKeys = false, CancellationToken cancellationToken = default)
    {
        var full = Path.GetFullPath(path);
        var temporary = $"{full}.{Guid.NewGuid():N}.tmp";
        try
        {
            var (size, sha256) = await DownloadAsync(temporary, withKeys, cancellationToken).ConfigureAwait(false);
            File.Move(temporary, full, overwrite: true);
            return new BackupFile(full, size, sha256, withKeys);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Sends a backup; the server checks it whole, replaces its metadata by it, answers, and restarts itself.</summary>
    /// <param name="replace">Whether what the server has may go; without it only an unused server is filled.</param>
    /// <param name="progress">Called on the calling flow, not posted; null for none.</param>
    /// <exception cref="ModelOpsException">The backup is damaged, the server is not empty, or jobs run; nothing was changed.</exception>
    public async Task<RestoreReport> RestoreAsync(
        string path, bool replace = false, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var file = new ArtifactFile(Path.GetFileName(path), new FileInfo(path).Length, Sha256: "");
        using var response = await connection.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, $"api/v1/restore?replace={(replace ? "true" : "false")}")
            {
                Content = new FileContent(path, file, progress),
            },
            cancellationToken).ConfigureAwait(false);
        return await response.ReadAsync(WireJson.Default.RestoreReport, cancellationToken).ConfigureAwait(false);
    }

    private async Task<(long Size, string Sha256)> DownloadAsync(string path, bool withKeys, CancellationToken cancellationToken)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Options = FileOptions.Asynchronous,
            BufferSize = 0,
            UnixCreateMode = OperatingSystem.IsWindows() ? null : UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        var file = new FileStream(path, options); // before asking: a place that cannot be written costs no backup
        await using var closing = file.ConfigureAwait(false);
        using var response = await connection.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, $"api/v1/backup?with_keys={(withKeys ? "true" : "false")}"), cancellationToken)
            .ConfigureAwait(false);
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using var reading = body.ConfigureAwait(false);
            var buffer = new byte[BufferSize];
            int read;
            while ((read = await body.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                digest.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (HttpIOException exception)
        {
            throw connection.Unreachable(exception); // the answer broke off
        }
        RandomAccess.FlushToDisk(file.SafeFileHandle);
        return (file.Length, Convert.ToHexStringLower(digest.GetHashAndReset()));
    }
}
