using System.Buffers.Binary;
using System.IO.Compression;

namespace ModelOps.Tables.Datasets;

/// <summary>A stream that is read once, from front to back, asynchronously.</summary>
internal abstract class ForwardStream : Stream
{
    public sealed override bool CanRead => true;
    public sealed override bool CanSeek => false;
    public sealed override bool CanWrite => false;
    public sealed override long Length => throw new NotSupportedException();

    public sealed override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public abstract override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);

    public sealed override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public sealed override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read asynchronously");

    public sealed override void Flush()
    {
    }

    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public sealed override void SetLength(long value) => throw new NotSupportedException();

    public sealed override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>Bytes already read, then the rest of a stream.</summary>
internal sealed class PrefixedStream(ReadOnlyMemory<byte> prefix, Stream rest, bool leaveOpen) : ForwardStream
{
    private ReadOnlyMemory<byte> left = prefix;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (left.IsEmpty) return rest.ReadAsync(buffer, cancellationToken);
        var taken = Math.Min(buffer.Length, left.Length);
        left[..taken].CopyTo(buffer);
        left = left[taken..];
        return new(taken);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !leaveOpen) rest.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>
/// What a gzip file of one member holds. <see cref="GZipStream"/> takes a file that is cut off for one that ends; here the length in the last
/// four bytes (RFC 1952, ISIZE) has to agree.
/// </summary>
internal sealed class GzipText : ForwardStream
{
    private readonly Tail packed;
    private readonly GZipStream unpacked;
    private uint length;

    public GzipText(Stream source)
    {
        packed = new(source);
        unpacked = new(packed, CompressionMode.Decompress);
    }

    /// <exception cref="InvalidDataException">The file is cut off or damaged, or is several gzip files in a row.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read;
        try
        {
            read = await unpacked.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"the gzip file is damaged: {e.Message}", e);
        }
        length = unchecked(length + (uint)read);
        return read > 0 || buffer.IsEmpty || length == packed.LastWord
            ? read
            : throw new InvalidDataException("the gzip file is cut off, or is several in a row; unpack it first");
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            unpacked.Dispose();
            packed.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <summary>Remembers the last four bytes.</summary>
    private sealed class Tail(Stream source) : ForwardStream
    {
        private readonly byte[] last = new byte[4];

        public uint LastWord => BinaryPrimitives.ReadUInt32LittleEndian(last);

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            var end = buffer.Span[Math.Max(0, read - last.Length)..read];
            last.AsSpan(end.Length).CopyTo(last);
            end.CopyTo(last.AsSpan(last.Length - end.Length));
            return read;
        }
    }
}
