namespace ModelOps.Data.Tests.Storage;

/// <summary>A stream as the network gives it: no length, no way back, short reads.</summary>
internal class Unseekable(Stream inner) : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, Math.Min(count, 65_521));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>Zeros, then a fault.</summary>
internal sealed class Failing(int readable) : Unseekable(Null)
{
    private int left = readable;

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (left == 0) throw new InvalidDataException("the source broke");
        var read = Math.Min(left, count);
        Array.Clear(buffer, offset, read);
        left -= read;
        return read;
    }
}
