namespace ModelOps.Storage;

/// <summary>An object's bytes as they come from a service, which they own: that it goes away on the way is said as it is of every other request.</summary>
internal sealed class ServiceStream(Stream inner, Predicate<Exception> isOfService, Func<Exception, ObjectStoreException> failure) : ReadOnlyStream
{
    public override long Length => inner.Length;

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return inner.Read(buffer);
        }
        catch (Exception e) when (isOfService(e))
        {
            throw failure(e);
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (isOfService(e))
        {
            throw failure(e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
