using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

/// <summary>A store whose process is stopped after some puts, in the middle of the next one's bytes.</summary>
internal sealed class StoppingStore(IObjectStore inner, int puts) : IObjectStore
{
    private int left = puts;

    public Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default) =>
        inner.PutAsync(key, left-- > 0 ? content : new Stopping(content), mode, cancellationToken);

    public Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
        inner.OpenReadAsync(key, offset, length, cancellationToken);

    public Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default) => inner.HeadAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
        inner.ListAsync(prefix, startAfter, cancellationToken);

    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => inner.DeleteAsync(key, cancellationToken);

    public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) => inner.CopyAsync(from, to, cancellationToken);

    public string? LocalPath(string key) => inner.LocalPath(key);

    public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default) =>
        inner.PresignAsync(key, validity, cancellationToken);

    private sealed class Stopping(Stream content) : Unseekable(content)
    {
        private bool begun;

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (begun) throw new OperationCanceledException();
            begun = true;
            return base.Read(buffer, offset, Math.Min(count, 90));
        }
    }
}
