using System.Diagnostics;
using ModelOps.Storage;

namespace ModelOps.ObjectWriter;

/// <summary>Every put has three steps: before, when the first bytes were taken, and after; every delete two.</summary>
internal sealed class KillingStore(IObjectStore inner, int step) : IObjectStore
{
    private int steps;

    public int Steps => steps;

    public async Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default)
    {
        Step();
        using var watched = new WatchedStream(content, Step);
        var put = await inner.PutAsync(key, watched, mode, cancellationToken);
        Step();
        return put;
    }

    public async Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        Step();
        var deleted = await inner.DeleteAsync(key, cancellationToken);
        Step();
        return deleted;
    }

    public Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
        inner.OpenReadAsync(key, offset, length, cancellationToken);

    public Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default) => inner.HeadAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
        inner.ListAsync(prefix, startAfter, cancellationToken);

    public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) => inner.CopyAsync(from, to, cancellationToken);

    public string? LocalPath(string key) => inner.LocalPath(key);

    public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default) =>
        inner.PresignAsync(key, validity, cancellationToken);

    /// <summary>Counts a step, and kills the process if it is the chosen one.</summary>
    public void Step()
    {
        if (Interlocked.Increment(ref steps) - 1 != step) return;
        using var self = Process.GetCurrentProcess();
        self.Kill();
        Thread.Sleep(Timeout.Infinite);
    }
}
