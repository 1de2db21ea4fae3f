using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>An object as a seekable file: the store's own where it has one, otherwise a temporary copy that disposing deletes.</summary>
internal sealed class LocalFile : IDisposable
{
    private readonly bool isCopy;

    private LocalFile(string path, bool isCopy) => (Path, this.isCopy) = (path, isCopy);

    public string Path { get; }

    /// <exception cref="DeltaException">There is no such object.</exception>
    public static async Task<LocalFile> OpenAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        if (LocalPath(store, key) is { } path)
            return File.Exists(path) ? new(path, isCopy: false) : throw Missing(key);
        var source = await store.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false) ?? throw Missing(key);
        await using (source.ConfigureAwait(false))
        {
            var copy = new LocalFile(System.IO.Path.GetTempFileName(), isCopy: true);
            try
            {
                var target = File.Create(copy.Path);
                await using (target.ConfigureAwait(false)) await source.CopyToAsync(target, cancellationToken).ConfigureAwait(false);
                return copy;
            }
            catch
            {
                copy.Dispose();
                throw;
            }
        }
    }

    public void Dispose()
    {
        if (isCopy) File.Delete(Path);
    }

    private static string? LocalPath(IObjectStore store, string key)
    {
        try
        {
            return store.LocalPath(key);
        }
        catch (ArgumentException e)
        {
            throw new DeltaException($"the table's log names a file that no store can have: {e.Message}", e);
        }
    }

    private static DeltaException Missing(string key) => new($"the table's log names {key}, which is not there");
}
