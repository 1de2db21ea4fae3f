using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace ModelOps.Storage;

/// <param name="Rewrapped">Objects that were under a previous master key and now are under the current one.</param>
/// <param name="Current">Objects that were under the current one already.</param>
/// <param name="Refused">What is wrong with the others, each with its key; they were left as they are.</param>
public sealed record RewrapReport(long Rewrapped, long Current, IReadOnlyList<string> Refused);

/// <summary>
/// Objects that another store keeps only as AES-256-GCM ciphertext (<see cref="EncryptedFormat"/>), bound to their keys. Reading checks what it
/// hands out: whatever was changed is an <see cref="ObjectIntegrityException"/>, never data, and so is an object that is not encrypted. Only an
/// older content of the same object, put back by whoever can write the store, is not noticed; the sizes of <see cref="HeadAsync"/> and
/// <see cref="ListAsync"/> are those of the stored object and are proved by reading it.
/// </summary>
public sealed class EncryptedObjectStore(IObjectStore inner, MasterKeys keys) : IObjectStore
{
    private const int ReplacedAttempts = 5;

    public async Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default)
    {
        ObjectKey.Check(key);
        var dataKey = RandomNumberGenerator.GetBytes(EncryptedFormat.KeyBytes);
        try
        {
            var chunks = new EncryptingStream(content, dataKey);
            await using (chunks.ConfigureAwait(false))
            {
                var stored = new PrependedStream(keys.Wrap(key, dataKey), chunks);
                await using (stored.ConfigureAwait(false))
                    return await inner.PutAsync(key, stored, mode, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(dataKey);
        }
    }

    public async Task<Stream?> OpenReadAsync(
        string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (length is { } wanted) ArgumentOutOfRangeException.ThrowIfNegative(wanted, nameof(length));
        var range = new Range(offset, length ?? long.MaxValue);
        return range.FirstChunk == 0
            ? await OpenFromStartAsync(key, range, cancellationToken).ConfigureAwait(false)
            : await OpenInsideAsync(key, range, cancellationToken).ConfigureAwait(false);
    }

    public async Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default) =>
        await inner.HeadAsync(key, cancellationToken).ConfigureAwait(false) is { } stored ? Plain(stored) : null;

    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var stored in inner.ListAsync(prefix, startAfter, cancellationToken).ConfigureAwait(false))
            yield return Plain(stored);
    }

    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => inner.DeleteAsync(key, cancellationToken);

    /// <summary>Decrypts and encrypts anew, with a data key and a header of the copy's own.</summary>
    public async Task CopyAsync(string from, string to, CancellationToken cancellationToken = default)
    {
        ObjectKey.Check(to);
        var source = await OpenReadAsync(from, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new FileNotFoundException($"there is no object {from}", from);
        await using (source.ConfigureAwait(false)) await PutAsync(to, source, PutMode.Replace, cancellationToken).ConfigureAwait(false);
    }

    public string? LocalPath(string key)
    {
        ObjectKey.Check(key);
        return null;
    }

    /// <returns>null: the store itself could hand out ciphertext only.</returns>
    public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default)
    {
        ObjectKey.Check(key);
        PresignedUrl.CheckValidity(validity);
        return Task.FromResult<Uri?>(null);
    }

    /// <summary>
    /// Brings every object under the current master key, so that the previous ones can be given up. Each object is replaced as a whole: when
    /// this is stopped at any point, every object is readable with the same keys, and calling it again goes on where it was. Objects may be
    /// put meanwhile; one that is replaced or deleted at that very moment may come back as it was.
    /// </summary>
    public async Task<RewrapReport> RewrapAsync(CancellationToken cancellationToken = default)
    {
        var (rewrapped, current, refused) = (0L, 0L, new List<string>());
        await foreach (var stored in inner.ListAsync("", cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            try
            {
                if (await RewrapObjectAsync(stored.Key, cancellationToken).ConfigureAwait(false)) rewrapped++;
                else current++;
            }
            catch (ObjectIntegrityException e)
            {
                refused.Add(e.Message);
            }
        }
        return new(rewrapped, current, refused);
    }

    /// <summary>The range of plaintext that is wanted, and where it is in the stored object.</summary>
    private sealed record Range(long Offset, long Length)
    {
        public long FirstChunk => Offset / EncryptedFormat.ChunkBytes;

        /// <summary>Bytes from the first chunk on up to one byte behind the last, which shows whether that is the object's last; null: to its end.</summary>
        public long? StoredLength
        {
            get
            {
                if (Length > long.MaxValue / 2 - Offset) return null;
                var lastChunk = Math.Max(Offset + Length - 1, Offset) / EncryptedFormat.ChunkBytes;
                return ((lastChunk - FirstChunk + 1) * EncryptedFormat.StoredChunkBytes) + 1;
            }
        }
    }

    /// <summary>The header and the chunks behind it, in one go.</summary>
    private async Task<Stream?> OpenFromStartAsync(string key, Range range, CancellationToken cancellationToken)
    {
        var length = range.StoredLength is { } chunks ? EncryptedFormat.HeaderBytes + chunks : (long?)null;
        var stored = await inner.OpenReadAsync(key, 0, length, cancellationToken).ConfigureAwait(false);
        if (stored is null) return null;
        try
        {
            var header = await ReadHeaderAsync(stored, cancellationToken).ConfigureAwait(false);
            return await BeginAsync(key, header, stored, range, cancellationToken).ConfigureAwait(false)
                ?? throw new ObjectIntegrityException(key, "it was cut behind its header");
        }
        catch
        {
            await stored.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The header, then only the chunks wanted. An object that is replaced between the two is looked at anew.</summary>
    private async Task<Stream?> OpenInsideAsync(string key, Range range, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var header = await HeaderOfAsync(key, cancellationToken).ConfigureAwait(false);
            if (header is null) return null;
            var stored = await inner.OpenReadAsync(key, EncryptedFormat.At(range.FirstChunk), range.StoredLength, cancellationToken)
                .ConfigureAwait(false);
            if (stored is null) return null;
            try
            {
                if (await BeginAsync(key, header, stored, range, cancellationToken).ConfigureAwait(false) is { } plain) return plain;
                await stored.DisposeAsync().ConfigureAwait(false);
                await CheckEndAsync(key, range.Offset, cancellationToken).ConfigureAwait(false);
                return Stream.Null;
            }
            catch (ObjectIntegrityException) when (attempt < ReplacedAttempts)
            {
                await stored.DisposeAsync().ConfigureAwait(false);
                var now = await HeaderOfAsync(key, cancellationToken).ConfigureAwait(false);
                if (now is null || header.AsSpan().SequenceEqual(now)) throw;
            }
            catch
            {
                await stored.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }
    }

    /// <returns>null: the stored stream is empty.</returns>
    private async Task<Stream?> BeginAsync(
        string key, ReadOnlyMemory<byte> header, Stream stored, Range range, CancellationToken cancellationToken)
    {
        var (dataKey, _) = keys.Unwrap(key, header.Span);
        var plain = new DecryptingStream(key, stored, dataKey, range.Offset, range.Length);
        CryptographicOperations.ZeroMemory(dataKey);
        try
        {
            if (await plain.BeginAsync(cancellationToken).ConfigureAwait(false)) return plain;
            await plain.DisposeAsync().ConfigureAwait(false);
            return null;
        }
        catch
        {
            await plain.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>An object has nothing at an offset because it ends before, which its last chunk must prove, and not because it was cut.</summary>
    private async Task CheckEndAsync(string key, long offset, CancellationToken cancellationToken)
    {
        if (await HeadAsync(key, cancellationToken).ConfigureAwait(false) is not { } info) return;
        if (offset < info.Size) throw new ObjectIntegrityException(key, "it was replaced while it was read; read it again");
        var last = await OpenReadAsync(key, Math.Max(0, info.Size - 1), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (last is not null) await last.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<byte[]?> HeaderOfAsync(string key, CancellationToken cancellationToken)
    {
        var stored = await inner.OpenReadAsync(key, 0, EncryptedFormat.HeaderBytes, cancellationToken).ConfigureAwait(false);
        if (stored is null) return null;
        await using (stored.ConfigureAwait(false)) return await ReadHeaderAsync(stored, cancellationToken).ConfigureAwait(false);
    }

    /// <returns>Shorter than a header where the object is.</returns>
    private static async Task<byte[]> ReadHeaderAsync(Stream stored, CancellationToken cancellationToken)
    {
        var header = new byte[EncryptedFormat.HeaderBytes];
        var read = await stored.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return header[..read];
    }

    /// <returns>false: it is under the current master key already, or gone.</returns>
    private async Task<bool> RewrapObjectAsync(string key, CancellationToken cancellationToken)
    {
        var seen = await HeaderOfAsync(key, cancellationToken).ConfigureAwait(false);
        if (seen is null || keys.Unwrap(key, seen).MasterKeyId == keys.CurrentId) return false;
        var stored = await inner.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (stored is null) return false;
        await using (stored.ConfigureAwait(false))
        {
            // Read again from the same stream as the chunks: they must belong together.
            var (dataKey, _) = keys.Unwrap(key, await ReadHeaderAsync(stored, cancellationToken).ConfigureAwait(false));
            var rewrapped = new PrependedStream(keys.Wrap(key, dataKey), stored);
            CryptographicOperations.ZeroMemory(dataKey);
            await using (rewrapped.ConfigureAwait(false))
                return await inner.PutAsync(key, rewrapped, PutMode.Replace, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <exception cref="ObjectIntegrityException">No encrypted object is that long.</exception>
    private static ObjectInfo Plain(ObjectInfo stored) => EncryptedFormat.PlainSize(stored.Size) is { } size
        ? stored with { Size = size }
        : throw new ObjectIntegrityException(stored.Key, $"it is not encrypted, or was cut: no encrypted object has {stored.Size} bytes; put it anew, or remove it");
}
