namespace ModelOps.Storage;

/// <summary>
/// Objects as files below a root folder. A put writes a temporary file on the same file system, fsyncs it, links or renames it into place,
/// and fsyncs the folder: after a crash there is the old object or the new one, never part of one.
/// </summary>
public sealed class FileObjectStore : IObjectStore
{
    private const string TemporaryFolder = ObjectKey.Reserved;
    private static readonly EnumerationOptions Entries = new() { AttributesToSkip = FileAttributes.ReparsePoint };

    private readonly string root;
    private readonly UnfinishedFiles? unfinished;

    public FileObjectStore(string root)
        : this(root, isReadOnly: false)
    {
    }

    private FileObjectStore(string root, bool isReadOnly)
    {
        this.root = Path.GetFullPath(root);
        if (!isReadOnly) unfinished = UnfinishedFiles.Open(Path.Combine(this.root, TemporaryFolder));
    }

    /// <summary>What anyone keeps in a folder: nothing is made in it, and puts throw <see cref="NotSupportedException"/>.</summary>
    public static FileObjectStore OpenReadOnly(string root) => new(root, isReadOnly: true);

    public async Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default)
    {
        var target = PathOf(key);
        if (mode == PutMode.IfAbsent && File.Exists(target)) return false;
        var incoming = unfinished?.NewPath() ?? throw new NotSupportedException($"{root} was opened to be read");
        try
        {
            var file = new FileStream(
                incoming, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.Asynchronous);
            await using (file.ConfigureAwait(false))
            {
                await content.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
                RandomAccess.FlushToDisk(file.SafeFileHandle);
            }
            return Publish(incoming, target, mode);
        }
        finally
        {
            File.Delete(incoming);
        }
    }

    public Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (length is { } wanted) ArgumentOutOfRangeException.ThrowIfNegative(wanted, nameof(length));
        cancellationToken.ThrowIfCancellationRequested();
        var path = PathOf(key);
        if (Directory.Exists(path)) return Task.FromResult<Stream?>(null);
        try
        {
            var file = new FileStream(
                path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0, FileOptions.Asynchronous);
            file.Position = offset;
            return Task.FromResult<Stream?>(length is null ? file : new RangeStream(file, length.Value));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<Stream?>(null);
        }
    }

    public Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var file = new FileInfo(PathOf(key));
        return Task.FromResult(file.Exists ? Info(key, file) : null);
    }

    public IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, CancellationToken cancellationToken = default)
    {
        ObjectKey.CheckPrefix(prefix);
        return List(prefix, startAfter, cancellationToken).ToAsyncEnumerable();
    }

    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var path = PathOf(key);
        if (!File.Exists(path)) return Task.FromResult(false);
        File.Delete(path);
        Durable.SyncFolder(Path.GetDirectoryName(path)!);
        return Task.FromResult(true);
    }

    public async Task CopyAsync(string from, string to, CancellationToken cancellationToken = default)
    {
        var source = await OpenReadAsync(from, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new FileNotFoundException($"there is no object {from}", from);
        await using (source.ConfigureAwait(false)) await PutAsync(to, source, PutMode.Replace, cancellationToken).ConfigureAwait(false);
    }

    public string? LocalPath(string key) => PathOf(key);

    public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default)
    {
        ObjectKey.Check(key);
        PresignedUrl.CheckValidity(validity);
        return Task.FromResult<Uri?>(null);
    }

    private static bool Publish(string incoming, string target, PutMode mode)
    {
        var folder = Path.GetDirectoryName(target)!;
        Durable.CreateFolder(folder);
        if (mode == PutMode.Replace) File.Move(incoming, target, overwrite: true);
        else if (!HardLink.TryCreate(incoming, target)) return Directory.Exists(target) ? throw IsAFolder(target) : false;
        Durable.SyncFolder(folder);
        return true;
    }

    private static IOException IsAFolder(string target) => new($"{target} cannot be put: it is a folder of other objects");

    private static ObjectInfo Info(string key, FileInfo file) => new(key, file.Length, file.LastWriteTimeUtc);

    private IEnumerable<ObjectInfo> List(string prefix, string? startAfter, CancellationToken cancellationToken)
    {
        // The deepest whole folder of the prefix bounds the walk.
        var folder = prefix[..(prefix.LastIndexOf('/') + 1)];
        var start = new DirectoryInfo(folder.Length == 0 ? root : PathOf(folder[..^1]));
        if (!start.Exists) yield break;
        foreach (var (key, file) in Walk(start, folder, prefix, startAfter))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (file.Exists) yield return Info(key, file);
        }
    }

    /// <summary>Depth first, a folder sorted by its name and '/': that is the order of the keys, without holding all of them.</summary>
    private static IEnumerable<(string Key, FileInfo File)> Walk(DirectoryInfo folder, string path, string prefix, string? startAfter)
    {
        var entries = folder.EnumerateFileSystemInfos("*", Entries)
            .Select(entry => (Key: path + entry.Name + (entry is DirectoryInfo ? "/" : ""), Entry: entry))
            .OrderBy(entry => entry.Key, ObjectKey.Order);
        foreach (var (key, entry) in entries)
        {
            if (entry is DirectoryInfo deeper)
            {
                if (key != TemporaryFolder + "/" && MayHold(key, prefix, startAfter))
                    foreach (var found in Walk(deeper, key, prefix, startAfter)) yield return found;
            }
            else if (key.StartsWith(prefix, StringComparison.Ordinal)
                && (startAfter is null || ObjectKey.Order.Compare(key, startAfter) > 0))
            {
                yield return (key, (FileInfo)entry);
            }
        }
    }

    private static bool MayHold(string folder, string prefix, string? startAfter) =>
        (folder.StartsWith(prefix, StringComparison.Ordinal) || prefix.StartsWith(folder, StringComparison.Ordinal))
        && (startAfter is null
            || startAfter.StartsWith(folder, StringComparison.Ordinal)
            || ObjectKey.Order.Compare(folder, startAfter) > 0);

    /// <exception cref="ArgumentException">The key is not valid.</exception>
    /// <exception cref="ObjectIntegrityException">A symbolic link stands on its way, or in its place: no store makes one.</exception>
    private string PathOf(string key)
    {
        ObjectKey.Check(key);
        var path = root;
        foreach (var segment in key.Split('/'))
        {
            path = Path.Combine(path, segment);
            if (new FileInfo(path).LinkTarget is not null)
                throw new ObjectIntegrityException(key, $"{path} is a symbolic link, which a store never makes; remove it");
        }
        return path;
    }
}
