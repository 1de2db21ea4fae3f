using System.Diagnostics;
using Apache.Arrow;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.ObjectWriter;

/// <summary>One change of a Delta table, in which the process kills itself at a chosen step of what the store is asked to do.</summary>
internal static class KilledStep
{
    public static async Task RunAsync(string root, int step)
    {
        var store = new KillingStore(new FileObjectStore(root), step);
        var table = await DeltaTable.OpenAsync(store, "t") ?? throw new InvalidOperationException($"{root} has no table");
        await table.UpdateAsync("id < 10", new Dictionary<string, ColumnUpdate>(StringComparer.Ordinal)
        {
            ["text"] = rows =>
            {
                var texts = new StringArray.Builder();
                for (var i = 0; i < rows.Length; i++) texts.Append("new");
                return texts.Build();
            },
        });
    }

    /// <summary>Every put has three steps: before, when the first bytes were taken, and after; every delete two.</summary>
    private sealed class KillingStore(IObjectStore inner, int step) : IObjectStore
    {
        private int steps;

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

        private void Step()
        {
            if (Interlocked.Increment(ref steps) - 1 != step) return;
            using var self = Process.GetCurrentProcess();
            self.Kill();
            Thread.Sleep(Timeout.Infinite);
        }
    }

    /// <summary>Hands out half of the bytes, then tells.</summary>
    private sealed class WatchedStream(Stream inner, Action half) : Stream
    {
        private readonly long first = Math.Max(1, inner.Length / 2);
        private bool isTold;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => inner.Length;

        public override long Position
        {
            get => inner.Position;
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (!isTold && inner.Position >= first)
            {
                isTold = true;
                half();
            }
            return inner.Read(isTold ? buffer : buffer[..(int)Math.Min(buffer.Length, first - inner.Position)]);
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            Task.FromResult(Read(buffer, offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
