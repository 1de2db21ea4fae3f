namespace ModelOps.Storage;

/// <summary>Some bytes, then the rest of a stream, which stays the caller's.</summary>
internal sealed class PrependedStream(ReadOnlyMemory<byte> first, Stream rest) : ReadOnlyStream
{
    private ReadOnlyMemory<byte> first = first;

    public override int Read(Span<byte> buffer) => first.IsEmpty ? rest.Read(buffer) : Take(buffer);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        first.IsEmpty ? rest.ReadAsync(buffer, cancellationToken) : new(Take(buffer.Span));

    private int Take(Span<byte> buffer)
    {
        var size = Math.Min(buffer.Length, first.Length);
        first.Span[..size].CopyTo(buffer);
        first = first[size..];
        return size;
    }
}
