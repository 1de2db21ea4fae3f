using System.Formats.Tar;

namespace ModelOps.Client;

/// <summary>An exported folder, or a tar laid out as one: every name, size and digest checked, nothing of it believed yet.</summary>
internal sealed class PackageReader : IDisposable
{
    private readonly string folder;
    private readonly bool isTemporary;

    private PackageReader(string root, bool temporary) => (folder, isTemporary) = (root, temporary);

    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="InvalidDataException">The tar is broken or holds what no export holds.</exception>
    public static async Task<PackageReader> OpenAsync(string path, CancellationToken cancellationToken)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Directory.Exists(full))
            return new PackageReader(full, temporary: false);
        if (!File.Exists(full))
            throw new FileNotFoundException($"There is no folder and no tar {full}.", full);
        var reader = new PackageReader($"{full}.{Guid.NewGuid():N}.partial", temporary: true);
        try
        {
            await ExtractAsync(full, reader.folder, cancellationToken).ConfigureAwait(false);
            return reader;
        }
        catch
        {
            reader.Dispose();
            throw;
        }
    }

    public string FullPath(ArtifactFile file) => Path.Combine(folder, PackageLayout.Files, file.Path);

    /// <summary>What is there, once every file has the name, size and digest of the manifest.</summary>
    /// <exception cref="ModelOpsException">Every fault found.</exception>
    public async Task<PackageContent> ReadAsync(IProgress<UploadProgress>? progress, CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        var names = Names(faults);
        var envelope = await MetadataAsync(PackageLayout.Envelope, names, cancellationToken).ConfigureAwait(false)
            ?? throw Refused([.. faults, $"{PackageLayout.Envelope} is missing: this is no exported artifact."]);
        var manifest = PackageLayout.Read(envelope);
        var plain = await MetadataAsync(PackageLayout.Manifest, names, cancellationToken).ConfigureAwait(false);
        if (plain is not null && !plain.AsSpan().SequenceEqual(manifest.Payload))
            faults.Add($"{PackageLayout.Manifest} is not the manifest that was signed.");

        var listed = manifest.Files.Select(file => PackageLayout.Files + file.Path).ToHashSet(StringComparer.Ordinal);
        faults.AddRange(names.Where(name => !listed.Contains(name) && !PackageLayout.IsMetadata(name)).Select(name => $"{name} is extra."));
        await CheckFilesAsync(manifest, names, faults, progress, cancellationToken).ConfigureAwait(false);
        if (faults.Count > 0)
            throw Refused(faults);
        return new PackageContent(
            manifest,
            envelope,
            await MetadataAsync(PackageLayout.Bundle, names, cancellationToken).ConfigureAwait(false),
            await AllAsync(name => name.StartsWith(PackageLayout.Parents, StringComparison.Ordinal)).ConfigureAwait(false),
            await AllAsync(name => name == PackageLayout.SigningKey || name.StartsWith(PackageLayout.Keys, StringComparison.Ordinal))
                .ConfigureAwait(false),
            await MetadataAsync(PackageLayout.BundleKey, names, cancellationToken).ConfigureAwait(false));

        async Task<IReadOnlyList<byte[]>> AllAsync(Func<string, bool> wanted)
        {
            var found = new List<byte[]>();
            foreach (var name in names.Where(wanted).Order(StringComparer.Ordinal))
                found.Add((await MetadataAsync(name, names, cancellationToken).ConfigureAwait(false))!);
            return found;
        }
    }

    public void Dispose()
    {
        if (isTemporary && Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    private async Task CheckFilesAsync(
        PackageManifest manifest, HashSet<string> names, List<string> faults, IProgress<UploadProgress>? progress,
        CancellationToken cancellationToken)
    {
        var (done, total) = (0L, manifest.Files.Sum(file => file.Size));
        foreach (var file in manifest.Files)
        {
            if (!names.Contains(PackageLayout.Files + file.Path))
            {
                faults.Add($"{file.Path} is missing.");
                continue;
            }
            var found = await LocalFiles.HashFileAsync(FullPath(file), cancellationToken).ConfigureAwait(false);
            if (found.Size != file.Size || found.Sha256 != file.Sha256)
                faults.Add($"{file.Path} was changed: its SHA-256 is {found.Sha256}; the manifest says {file.Sha256}.");
            done += file.Size;
            progress?.Report(new UploadProgress(file.Path, done, total));
        }
    }

    /// <summary>Of every regular file; links, which could lead anywhere, and what is no file are faults.</summary>
    private HashSet<string> Names(List<string> faults)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var walk = new EnumerationOptions { RecurseSubdirectories = false, AttributesToSkip = FileAttributes.None };
        var waiting = new Queue<DirectoryInfo>([new DirectoryInfo(folder)]);
        while (waiting.TryDequeue(out var next))
        {
            foreach (var entry in next.EnumerateFileSystemInfos("*", walk))
            {
                var name = Path.GetRelativePath(folder, entry.FullName);
                if (entry.LinkTarget is not null || entry.Attributes.HasFlag(FileAttributes.ReparsePoint))
                    faults.Add($"{name} is a symbolic link.");
                else if (entry is DirectoryInfo deeper)
                    waiting.Enqueue(deeper);
                else if (entry.Attributes.HasFlag(FileAttributes.Device))
                    faults.Add($"{name} is not a regular file.");
                else
                    names.Add(name);
            }
        }
        return names;
    }

    private async Task<byte[]?> MetadataAsync(string name, HashSet<string> names, CancellationToken cancellationToken)
    {
        if (!names.Contains(name))
            return null;
        var path = Path.Combine(folder, name);
        return new FileInfo(path).Length <= PackageLayout.MaxMetadata
            ? await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false)
            : throw new InvalidDataException($"{name} has more than {PackageLayout.MaxMetadata} bytes.");
    }

    /// <summary>Writes nothing that the manifest, which comes first, does not list with its size.</summary>
    private static async Task ExtractAsync(string path, string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var stream = FileContent.OpenToRead(path);
        await using (stream.ConfigureAwait(false))
        {
            var tar = new TarReader(stream);
            await using (tar.ConfigureAwait(false))
            {
                var seen = new HashSet<string>(StringComparer.Ordinal);
                Dictionary<string, long>? sizes = null;
                while (await NextAsync(tar, cancellationToken).ConfigureAwait(false) is { } entry)
                {
                    if (Fault(entry, seen, sizes) is { } fault)
                        throw new InvalidDataException($"{path}: {fault}");
                    var target = Path.Combine(folder, entry.Name);
                    Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                    await entry.ExtractToFileAsync(target, overwrite: false, cancellationToken).ConfigureAwait(false);
                    if (entry.Name == PackageLayout.Envelope)
                        sizes = PackageLayout.Read(await File.ReadAllBytesAsync(target, cancellationToken).ConfigureAwait(false))
                            .Files.ToDictionary(file => PackageLayout.Files + file.Path, file => file.Size, StringComparer.Ordinal);
                }
            }
        }
    }

    private static string? Fault(TarEntry entry, HashSet<string> seen, Dictionary<string, long>? sizes)
    {
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
            return $"'{entry.Name}' is a {entry.EntryType}; an export has regular files only.";
        if (!PackageLayout.IsSafe(entry.Name))
            return $"'{entry.Name}' is not a name in an export.";
        if (!seen.Add(entry.Name))
            return $"'{entry.Name}' is there twice.";
        if (PackageLayout.IsMetadata(entry.Name))
            return entry.Length > PackageLayout.MaxMetadata ? $"'{entry.Name}' has more than {PackageLayout.MaxMetadata} bytes."
                : seen.Count > PackageLayout.MaxMetadataEntries + (sizes?.Count ?? 0) ? "there are too many entries."
                : null;
        if (sizes is null)
            return $"'{entry.Name}' comes before {PackageLayout.Envelope}.";
        if (!sizes.TryGetValue(entry.Name, out var size))
            return $"'{entry.Name}' is extra.";
        return entry.Length == size ? null : $"'{entry.Name}' has {entry.Length} bytes; the manifest says {size}.";
    }

    /// <summary>Whatever the parser makes of broken bytes is one fault: the tar is broken.</summary>
    private static async Task<TarEntry?> NextAsync(TarReader tar, CancellationToken cancellationToken)
    {
        try
        {
            return await tar.GetNextEntryAsync(copyData: false, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception broken) when (broken is not OperationCanceledException)
        {
            throw new InvalidDataException($"The tar is broken: {broken.Message}", broken);
        }
    }

    private static ModelOpsException Refused(IReadOnlyList<string> faults) => new(new Problem
    {
        Type = ProblemTypes.VerificationFailed,
        Title = "Verification failed",
        Detail = "The package does not verify; nothing was imported.",
        Errors = faults,
    });
}

/// <param name="Keys">PEM files of Ed25519 keys, the artifact's own among them.</param>
/// <param name="BundleKey">PEM of the signer's ECDSA key.</param>
internal sealed record PackageContent(
    PackageManifest Manifest, byte[] Envelope, byte[]? Bundle, IReadOnlyList<byte[]> Parents, IReadOnlyList<byte[]> Keys, byte[]? BundleKey);
