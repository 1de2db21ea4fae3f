using System.Security.Cryptography;

namespace ModelOps.Client;

/// <summary>Files on this machine and their digests, ready to be pushed.</summary>
public sealed class LocalFiles
{
    private readonly string root;

    private LocalFiles(string root, IReadOnlyList<ArtifactFile> files)
    {
        this.root = root;
        Files = files;
    }

    /// <summary>Ordered by path; paths are relative and use <c>/</c>.</summary>
    public IReadOnlyList<ArtifactFile> Files { get; }

    /// <summary>Hashes every file below a folder; files and folders whose name starts with a dot are left out.</summary>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="InvalidDataException">The folder has no file.</exception>
    public static async Task<LocalFiles> HashFolderAsync(string folder, CancellationToken cancellationToken = default)
    {
        var full = Path.GetFullPath(folder);
        var paths = Directory.EnumerateFiles(full, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(full, path).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(path => !path.Split('/').Any(segment => segment.StartsWith('.')))
            .Order(StringComparer.Ordinal)
            .ToList();
        if (paths.Count == 0)
        {
            throw new InvalidDataException($"The folder {full} has no file to push.");
        }
        var files = new List<ArtifactFile>(paths.Count);
        foreach (var path in paths)
        {
            files.Add(await HashAsync(full, path, cancellationToken).ConfigureAwait(false));
        }
        return new LocalFiles(full, files);
    }

    /// <summary>Hashes some files of a folder and leaves the others out.</summary>
    /// <exception cref="FileNotFoundException">One of them does not exist.</exception>
    public static async Task<LocalFiles> HashFilesAsync(string folder, IReadOnlyList<string> names, CancellationToken cancellationToken = default)
    {
        var full = Path.GetFullPath(folder);
        var files = new List<ArtifactFile>(names.Count);
        foreach (var name in names.Order(StringComparer.Ordinal)) files.Add(await HashAsync(full, name, cancellationToken).ConfigureAwait(false));
        return new LocalFiles(full, files);
    }

    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    public static Task<ArtifactFile> HashFileAsync(string path, CancellationToken cancellationToken = default)
    {
        var full = Path.GetFullPath(path);
        return HashAsync(Path.GetDirectoryName(full)!, Path.GetFileName(full), cancellationToken);
    }

    /// <summary>Whether an artifact is made of exactly these files.</summary>
    public bool SameAs(Artifact artifact) =>
        Files.SequenceEqual(artifact.Files.OrderBy(file => file.Path, StringComparer.Ordinal));

    internal string FullPath(ArtifactFile file) => Path.Combine(root, file.Path);

    private static async Task<ArtifactFile> HashAsync(string folder, string path, CancellationToken cancellationToken)
    {
        var stream = FileContent.OpenToRead(Path.Combine(folder, path));
        await using (stream.ConfigureAwait(false))
        {
            var digest = await SHA256.HashDataAsync(stream, cancellationToken).ConfigureAwait(false);
            return new ArtifactFile(path, stream.Position, Convert.ToHexStringLower(digest));
        }
    }
}
