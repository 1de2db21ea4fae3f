using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using ZstdSharp;

namespace ModelOps.Tables.Datasets.Formats;

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

/// <summary>Counts what is read; the source stays its owner's.</summary>
internal sealed class CountingStream(Stream source) : ForwardStream
{
    public long BytesRead { get; private set; }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        BytesRead += read;
        return read;
    }
}

/// <summary>Bytes already read, then the rest of a stream.</summary>
internal sealed class PrefixedStream(ReadOnlyMemory<byte> prefix, Stream rest, bool leaveOpen) : ForwardStream
{
    private ReadOnlyMemory<byte> left = prefix;

    /// <summary>Leaves out the next bytes of the prefix.</summary>
    public void Skip(int count) => left = left[count..];

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
            throw new InvalidDataException($"the gzip file is damaged: {e.Message}; make or download it again", e);
        }
        length = unchecked(length + (uint)read);
        return read > 0 || buffer.IsEmpty || length == packed.LastWord
            ? read
            : throw new InvalidDataException("the gzip file is cut off (make or download it again), or is several in a row (unpack it first)");
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

/// <summary>What a zstd file holds, of any number of frames.</summary>
internal sealed class ZstdText(Stream source) : ForwardStream
{
    private readonly DecompressionStream unpacked = new(source, leaveOpen: false);

    /// <exception cref="InvalidDataException">The file is cut off or damaged.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await unpacked.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (ZstdException e)
        {
            throw new InvalidDataException($"the zstd file is damaged: {e.Message}; make or download it again", e);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException("the zstd file is cut off; make or download it again", e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) unpacked.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>UTF-16 text as UTF-8.</summary>
internal sealed class Utf16Text(Stream source, bool bigEndian) : ForwardStream
{
    private readonly Stream text = Encoding.CreateTranscodingStream(
        source, new UnicodeEncoding(bigEndian, byteOrderMark: false, throwOnInvalidBytes: true), Encoding.UTF8);

    /// <exception cref="InvalidDataException">The text has half a character.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await text.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (DecoderFallbackException e)
        {
            throw new InvalidDataException("the text is not valid UTF-16; save it as UTF-8", e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) text.Dispose();
        base.Dispose(disposing);
    }
}
