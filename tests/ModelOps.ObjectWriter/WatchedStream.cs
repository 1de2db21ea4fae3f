namespace ModelOps.ObjectWriter;

/// <summary>Hands out half of the bytes, then tells.</summary>
internal sealed class WatchedStream(Stream inner, Action half) : Stream
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
