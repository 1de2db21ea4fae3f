using System.Globalization;
using System.Text;

namespace ModelOps.Client;

/// <summary>Moves artifacts, with their proof, to and from folders and tars on this machine.</summary>
public sealed class PackagesClient
{
    private readonly ApiConnection connection;
    private readonly ArtifactsClient artifacts;

    internal PackagesClient(ApiConnection connection, ArtifactsClient artifacts)
    {
        this.connection = connection;
        this.artifacts = artifacts;
    }

    /// <summary>Writes files, manifest, signature, keys, OMS bundle, ML-BOM, ancestors' manifests and how to verify them.</summary>
    /// <param name="path">A new folder, or a tar when it ends in <c>.tar</c>. It appears whole or not at all.</param>
    /// <exception cref="ModelOpsException">The artifact does not verify, a file differs from its digest, or the path exists.</exception>
    public async Task<PackagedArtifact> ExportAsync(
        string reference, string path, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var writer = PackageWriter.Create(path);
        await using (writer.ConfigureAwait(false))
        {
            return await WriteAsync(reference, writer, progress, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes the same as a tar into a stream, a part of a file in memory at a time.</summary>
    /// <param name="target">Stays the caller's; it gets nothing before the artifact has verified, and a tar without an end when a file breaks off.</param>
    /// <exception cref="ModelOpsException">The artifact does not verify, or a file differs from its digest.</exception>
    public async Task<PackagedArtifact> ExportAsync(string reference, Stream target, CancellationToken cancellationToken = default)
    {
        var writer = PackageWriter.Create(target);
        await using (writer.ConfigureAwait(false))
        {
            return await WriteAsync(reference, writer, progress: null, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Registers what another server exported, with its own manifest and signature, once all of it verifies.</summary>
    /// <param name="path">A folder or a tar.</param>
    /// <param name="trust">Believe the keys that signed it from now on; for admins.</param>
    /// <exception cref="ModelOpsException">It does not verify, its key is not trusted, or this version exists with other content.</exception>
    /// <exception cref="InvalidDataException">It is no exported artifact.</exception>
    public async Task<ImportResult> ImportAsync(
        string path, bool trust = false, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        using var package = await PackageReader.OpenAsync(path, cancellationToken).ConfigureAwait(false);
        var content = await package.ReadAsync(progress, cancellationToken).ConfigureAwait(false);
        var import = new ImportArtifact
        {
            Manifest = content.Envelope,
            Bundle = content.Bundle,
            Parents = content.Parents,
            PublicKeys = [.. content.Keys.Select(Encoding.UTF8.GetString)],
            Trust = trust,
            CheckOnly = true,
        };
        var found = await PostAsync(import, cancellationToken).ConfigureAwait(false); // nothing is sent that would be refused
        if (found.Outcome != "checked")
            return found;
        foreach (var file in content.Manifest.Files.Where(file => found.Missing.Contains(file.Sha256, StringComparer.Ordinal)))
            await artifacts.UploadAsync(package.FullPath(file), file, progress, cancellationToken).ConfigureAwait(false);
        return await PostAsync(import with { CheckOnly = false }, cancellationToken).ConfigureAwait(false);
    }

    private async Task<PackagedArtifact> WriteAsync(
        string reference, PackageWriter writer, IProgress<UploadProgress>? progress, CancellationToken cancellationToken)
    {
        var package = await connection.GetAsync(
            $"api/v1/artifacts/{ApiPath.Segment(reference)}/package", WireJson.Default.PackagedArtifact, cancellationToken)
            .ConfigureAwait(false);
        var manifest = PackageLayout.Read(package.Manifest);
        await AddProofAsync(writer, package, manifest, cancellationToken).ConfigureAwait(false);
        var (before, total) = (0L, manifest.Files.Sum(file => file.Size));
        foreach (var file in manifest.Files)
        {
            var content = new BlobDownload(connection, file, progress.Within(before, total), cancellationToken);
            await using (content.ConfigureAwait(false))
            {
                await writer.AddAsync(PackageLayout.Files + file.Path, content, cancellationToken).ConfigureAwait(false);
            }
            before += file.Size;
        }
        cancellationToken.ThrowIfCancellationRequested();
        await writer.CompleteAsync().ConfigureAwait(false);
        return package;
    }

    private Task<ImportResult> PostAsync(ImportArtifact import, CancellationToken cancellationToken) =>
        connection.PostAsync(
            "api/v1/artifacts/import", import, WireJson.Default.ImportArtifact, WireJson.Default.ImportResult, cancellationToken);

    private static async Task AddProofAsync(
        PackageWriter writer, PackagedArtifact package, PackageManifest manifest, CancellationToken cancellationToken)
    {
        var key = package.PublicKeys[0];
        await writer.AddAsync(PackageLayout.Envelope, package.Manifest, cancellationToken).ConfigureAwait(false); // first: readers go by it
        await writer.AddAsync(PackageLayout.Readme, PackageReadme.Of(manifest, package), cancellationToken).ConfigureAwait(false);
        await writer.AddAsync(PackageLayout.Manifest, manifest.Payload, cancellationToken).ConfigureAwait(false);
        await writer.AddAsync(PackageLayout.Signature, manifest.Signature, cancellationToken).ConfigureAwait(false);
        await writer.AddAsync(PackageLayout.SigningKey, key.Manifests + key.Bundles, cancellationToken).ConfigureAwait(false);
        if (package.Bundle is not null)
            await writer.AddAsync(PackageLayout.Bundle, package.Bundle, cancellationToken).ConfigureAwait(false);
        if (key.Bundles is not null)
            await writer.AddAsync(PackageLayout.BundleKey, key.Bundles, cancellationToken).ConfigureAwait(false);
        await writer.AddAsync(PackageLayout.Bom, package.Bom.GetRawText(), cancellationToken).ConfigureAwait(false);
        var sums = string.Concat(manifest.Files.Select(file => $"{file.Sha256}  {PackageLayout.Files}{file.Path}\n"));
        await writer.AddAsync(PackageLayout.Sums, sums, cancellationToken).ConfigureAwait(false);
        foreach (var other in package.PublicKeys.Skip(1))
            await writer.AddAsync($"{PackageLayout.Keys}{other.KeyId}.pub", other.Manifests + other.Bundles, cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < package.Parents.Count; i++)
        {
            var name = $"{PackageLayout.Parents}{(i + 1).ToString("D4", CultureInfo.InvariantCulture)}-{PackageLayout.Read(package.Parents[i]).Reference}.dsse.json";
            await writer.AddAsync(name, package.Parents[i], cancellationToken).ConfigureAwait(false);
        }
    }
}
