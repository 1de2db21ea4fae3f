using ModelOps.Storage;

namespace ModelOps.Data.Tests.Delta;

/// <summary>A store in which, once, someone else is quicker: just before a certain key is put, something happens. It has no local files.</summary>
internal sealed class RacingStore(IObjectStore inner, string key, Func<Task> race) : IObjectStore
{
    private Func<Task>? pending = race;

    public async Task<bool> PutAsync(string putKey, Stream content, PutMode mode, CancellationToken cancellationToken = default)
    {
        if (putKey == key && Interlocked.Exchange(ref pending, null) is { } first) await first();
        return await inner.PutAsync(putKey, content, mode, cancellationToken);
    }

    public Task<Stream?> OpenReadAsync(string readKey, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
        inner.OpenReadAsync(readKey, offset, length, cancellationToken);

    public Task<ObjectInfo?> HeadAsync(string headKey, CancellationToken cancellationToken = default) => inner.HeadAsync(headKey, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
        inner.ListAsync(prefix, startAfter, cancellationToken);

    public Task<bool> DeleteAsync(string deletedKey, CancellationToken cancellationToken = default) => inner.DeleteAsync(deletedKey, cancellationToken);

    public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) => inner.CopyAsync(from, to, cancellationToken);

    public string? LocalPath(string localKey) => null;

    public Task<Uri?> PresignAsync(string signedKey, TimeSpan validity, CancellationToken cancellationToken = default) =>
        inner.PresignAsync(signedKey, validity, cancellationToken);
}
