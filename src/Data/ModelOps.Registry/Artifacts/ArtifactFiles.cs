using System.Security.Cryptography;
using ModelOps.Storage;

namespace ModelOps.Registry;

public abstract record Materialization
{
    private Materialization()
    {
    }

    public sealed record Ready(string Folder) : Materialization;

    /// <summary>A file is missing or was changed; the folder was not made.</summary>
    public sealed record Refused(VerificationFailure Failure) : Materialization;
}

/// <summary>The files behind a verified manifest.</summary>
internal sealed class ArtifactFiles(IObjectStore objects, VerifiedFiles remembered)
{
    private const int MostPublishAttempts = 64;

    public async Task<IReadOnlyList<VerificationCheck>> VerifyAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var checks = new List<VerificationCheck>();
        foreach (var file in manifest.Files)
        {
            var fault = await CopyAsync(file, Stream.Null, cancellationToken).ConfigureAwait(false);
            checks.Add(new VerificationCheck(manifest.Reference, VerificationChecks.File, fault is null, fault ?? file.Path));
        }
        return checks;
    }

    public async Task<Materialization> MaterializeAsync(
        ArtifactManifest manifest, string folder, FileChecks checks, CancellationToken cancellationToken)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if ((checks == FileChecks.Remembered || IsLinked(folder, manifest)) && await HoldsAsync(folder, manifest, checks, cancellationToken).ConfigureAwait(false))
            return new Materialization.Ready(folder);

        var temporary = $"{folder}.{Guid.NewGuid():N}.tmp";
        try
        {
            foreach (var file in manifest.Files)
            {
                if (await LayOutAsync(file, Path.Combine(temporary, file.Path), checks, cancellationToken).ConfigureAwait(false) is { } fault)
                    return new Materialization.Refused(new VerificationFailure(manifest.Reference, VerificationChecks.File, fault));
            }
            await PublishAsync(temporary, folder, manifest, checks, cancellationToken).ConfigureAwait(false);
            return new Materialization.Ready(folder);
        }
        finally
        {
            DeleteFolder(temporary);
        }
    }

    /// <returns>What is wrong with the stored file; null when it was laid out and its digest is right.</returns>
    private async Task<string?> LayOutAsync(ManifestFile file, string path, FileChecks checks, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            if (objects.LocalPath(BlobStore.KeyOf(file.Sha256)) is { } local && TryLink(local, path))
                return await FaultAsync(file, path, checks, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectIntegrityException refused)
        {
            return Refused(file, refused);
        }

        var copy = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        await using (copy.ConfigureAwait(false))
        {
            return await CopyAsync(file, copy, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <returns>false: the folder is on another file system, the file system knows no links, or there is no blob.</returns>
    private static bool TryLink(string blob, string path)
    {
        try
        {
            return HardLink.TryCreate(blob, path);
        }
        catch (IOException)
        {
            return false; // copying says what is wrong, where something is
        }
    }

    private async Task<string?> CopyAsync(ManifestFile file, Stream destination, CancellationToken cancellationToken)
    {
        try
        {
            return await CopyVerifiedAsync(file, destination, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectIntegrityException refused)
        {
            return Refused(file, refused);
        }
    }

    private async Task<string?> CopyVerifiedAsync(ManifestFile file, Stream destination, CancellationToken cancellationToken)
    {
        var stored = await objects.OpenReadAsync(BlobStore.KeyOf(file.Sha256), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (stored is null)
            return $"{file.Path} is missing: there is no blob {file.Sha256}.";
        await using (stored.ConfigureAwait(false))
        {
            using var verifying = new VerifyingStream(stored, file.Sha256);
            try
            {
                await verifying.CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
                return SizeFault(file, verifying.BytesRead);
            }
            catch (DigestMismatchException mismatch)
            {
                return Changed(file, mismatch.Actual);
            }
        }
    }

    /// <summary>Whether the folder's files are the stored ones themselves: copies can be whole while what is stored was changed.</summary>
    private bool IsLinked(string folder, ArtifactManifest manifest)
    {
        try
        {
            return manifest.Files.All(file => objects.LocalPath(BlobStore.KeyOf(file.Sha256)) is { } local
                && FileIdentity.Of(local) is { } stored && stored == FileIdentity.Of(Path.Combine(folder, file.Path)));
        }
        catch (ObjectIntegrityException)
        {
            return false; // laying it out says why
        }
    }

    /// <summary>Whether the folder holds the manifest's files, each unchanged, and nothing else.</summary>
    private async Task<bool> HoldsAsync(
        string folder, ArtifactManifest manifest, FileChecks checks, CancellationToken cancellationToken)
    {
        try
        {
            var found = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(folder, path));
            if (!found.ToHashSet().SetEquals(manifest.Files.Select(file => file.Path)))
                return false;
            foreach (var file in manifest.Files)
            {
                if (await FaultAsync(file, Path.Combine(folder, file.Path), checks, cancellationToken).ConfigureAwait(false) is not null)
                    return false;
            }
            return true;
        }
        catch (Exception gone) when (gone is DirectoryNotFoundException or FileNotFoundException)
        {
            return false;
        }
    }

    private async Task<string?> FaultAsync(
        ManifestFile file, string path, FileChecks checks, CancellationToken cancellationToken)
    {
        var info = new FileInfo(path);
        if (info.LinkTarget is not null)
            return $"{file.Path} is a symbolic link; its content can change unseen.";
        if (SizeFault(file, info.Length) is { } fault)
            return fault;
        var before = FileIdentity.Of(path);
        if (checks == FileChecks.Remembered && before is { } same && remembered.Holds(same, file.Sha256))
            return null;
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
        await using (stream.ConfigureAwait(false))
        {
            var actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken).ConfigureAwait(false));
            if (actual != file.Sha256)
                return Changed(file, actual);
            if (before is { } identity && FileIdentity.Of(path) == identity) // not changed while it was read
                remembered.Remember(identity, actual);
            return null;
        }
    }

    private static string? SizeFault(ManifestFile file, long size) =>
        size == file.Size ? null : $"{file.Path} was changed: it has {size} bytes; the manifest says {file.Size}.";

    private static string Refused(ManifestFile file, ObjectIntegrityException refused) => $"{file.Path} was changed: {refused.Message}.";

    private static string Changed(ManifestFile file, string actual) =>
        $"{file.Path} was changed: its SHA-256 is {actual}; the manifest says {file.Sha256}.";

    /// <summary>
    /// Renames into place. Of those that materialize the same artifact at once the first wins and the others use its folder; a folder
    /// that holds something else is moved away first, and whoever moved it may see another's folder come or go meanwhile.
    /// </summary>
    private async Task PublishAsync(
        string temporary, string folder, ArtifactManifest manifest, FileChecks checks, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Directory.Move(temporary, folder);
                return;
            }
            catch (IOException) when (attempt < MostPublishAttempts)
            {
                if (await HoldsAsync(folder, manifest, checks, cancellationToken).ConfigureAwait(false))
                    return;
                MoveAway(folder, $"{temporary}.old");
            }
        }
    }

    private static void MoveAway(string folder, string old)
    {
        try
        {
            Directory.Move(folder, old);
            DeleteFolder(old);
        }
        catch (DirectoryNotFoundException)
        {
            // Another has moved it away.
        }
    }

    private static void DeleteFolder(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }
}
