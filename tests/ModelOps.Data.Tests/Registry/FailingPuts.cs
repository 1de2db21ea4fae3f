using ModelOps.Storage;

namespace ModelOps.Data.Tests.Registry;

/// <summary>A store whose disk is full: every put fails halfway through its content.</summary>
internal sealed class FailingPuts(IObjectStore inner) : IObjectStore
{
    public Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default) =>
        inner.PutAsync(key, new HalfStream(content), mode, cancellationToken);

    public Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
        inner.OpenReadAsync(key, offset, length, cancellationToken);

    public Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default) =>
        inner.HeadAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
        inner.ListAsync(prefix, startAfter, cancellationToken);

    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => inner.DeleteAsync(key, cancellationToken);

    public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) =>
        inner.CopyAsync(from, to, cancellationToken);

    public string? LocalPath(string key) => inner.LocalPath(key);

    public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default) =>
        inner.PresignAsync(key, validity, cancellationToken);

    private sealed class HalfStream(Stream content) : MemoryStream
    {
        private bool begun;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (begun)
                throw new IOException("No space left on device.");
            begun = true;
            return await content.ReadAsync(buffer[..Math.Min(buffer.Length, 10)], cancellationToken);
        }

        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            var buffer = new byte[bufferSize];
            while (await ReadAsync(buffer, cancellationToken) is > 0 and var read)
                await destination.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }
    }
}
