using ModelOps.Storage;
using ModelOps.Tables.Datasets;

namespace ModelOps.ObjectWriter;

/// <summary>The ingestion of a file as the dataset "d", in which the process kills itself at a chosen step: a read of the file is one, too.</summary>
internal static class KilledIngestion
{
    /// <returns>The steps that there were.</returns>
    public static async Task<int> RunAsync(string root, string file, string job, int step)
    {
        var store = new KillingStore(new FileObjectStore(root), step);
        await using var content = File.OpenRead(file);
        await using var source = new CountedReads(content, store.Step);
        var request = new IngestionRequest { Source = source, FileName = Path.GetFileName(file), Dataset = "d", Tables = store, Job = job };
        var outcome = await DatasetIngestion.RunAsync(request, progress: null, CancellationToken.None);
        return outcome is IngestionOutcome.Ingested ? store.Steps : throw new InvalidDataException($"{file} was rejected");
    }

    private sealed class CountedReads(Stream inner, Action read) : Stream
    {
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
            read();
            return inner.Read(buffer);
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
