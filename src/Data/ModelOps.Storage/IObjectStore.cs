namespace ModelOps.Storage;

public enum PutMode
{
    /// <summary>Put in place of what is there.</summary>
    Replace,

    /// <summary>Only where nothing is; of many that try at once, exactly one succeeds.</summary>
    IfAbsent,
}

/// <param name="Size">Bytes.</param>
public sealed record ObjectInfo(string Key, long Size, DateTimeOffset ModifiedAt);

/// <summary>
/// Named byte sequences. What was put is durable once the call returns. Keys are '/'-separated segments, at most 1,024 bytes of UTF-8;
/// no key is a folder of another. A failing store throws <see cref="IOException"/>, and <see cref="ObjectIntegrityException"/> where what it
/// holds was tampered with.
/// </summary>
public interface IObjectStore
{
    /// <summary>Streams an object in. It appears whole or, where the stream or the store fails, not at all.</summary>
    /// <returns>false: <see cref="PutMode.IfAbsent"/>, and there is one already.</returns>
    /// <exception cref="ArgumentException">The key is not valid.</exception>
    Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default);

    /// <param name="offset">First byte wanted.</param>
    /// <param name="length">Bytes wanted; null: to the end.</param>
    /// <returns>null: there is no such object.</returns>
    Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default);

    Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default);

    /// <summary>In the order of the keys' UTF-8 bytes.</summary>
    /// <param name="startAfter">Keys up to and with this one are left out: the last key of one page begins the next.</param>
    /// <exception cref="ArgumentException">No key can begin with the prefix.</exception>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default);

    /// <returns>false: there was none.</returns>
    Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default);

    /// <exception cref="FileNotFoundException">There is no object to copy.</exception>
    Task CopyAsync(string from, string to, CancellationToken cancellationToken = default);

    /// <summary>A file with the object's bytes that the caller may read, never write; null where objects are no local files.</summary>
    string? LocalPath(string key);

    /// <summary>
    /// A URL that lets whoever has it GET the object's bytes for a while, without credentials; it is made without asking whether there is
    /// such an object. null where the store cannot hand out its bytes itself.
    /// </summary>
    /// <param name="validity">From one minute to seven days.</param>
    /// <exception cref="ArgumentException">The key or the validity is not valid.</exception>
    Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default);
}
