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
/// no key is a folder of another. A failing store throws <see cref="IOException"/>.
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
    /// <param name="startAfter">Keys up to and with this one are left out.</param>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default);

    /// <returns>false: there was none.</returns>
    Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default);

    /// <exception cref="FileNotFoundException">There is no object to copy.</exception>
    Task CopyAsync(string from, string to, CancellationToken cancellationToken = default);

    /// <summary>A file with the object's bytes that the caller may read, never write; null where objects are no local files.</summary>
    string? LocalPath(string key);
}
