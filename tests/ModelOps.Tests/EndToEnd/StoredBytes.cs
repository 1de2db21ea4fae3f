using ModelOps.Storage;

namespace ModelOps.Tests.EndToEnd;

/// <summary>What a server has stored, read or changed behind its back, as somebody with its disk or its bucket would.</summary>
internal static class StoredBytes
{
    public static async Task<byte[]> ReadAsync(string home, string sha256, CancellationToken cancellationToken)
    {
        using var stores = await Backends.OpenStoresAsync(home);
        var blob = await stores.Objects.ListAsync("", cancellationToken: cancellationToken)
            .SingleAsync(info => info.Key.EndsWith($"/{sha256}", StringComparison.Ordinal), cancellationToken);
        using var bytes = new MemoryStream();
        await using var content = await stores.Objects.OpenReadAsync(blob.Key, cancellationToken: cancellationToken);
        await content!.CopyToAsync(bytes, cancellationToken);
        return bytes.ToArray();
    }

    /// <summary>Changes one bit in the middle of the object that holds the file of that digest.</summary>
    public static async Task FlipAsync(string home, string sha256, CancellationToken cancellationToken)
    {
        using var stores = await Backends.OpenStoresAsync(home);
        var blob = await stores.Objects.ListAsync("", cancellationToken: cancellationToken)
            .SingleAsync(info => info.Key.EndsWith($"/{sha256}", StringComparison.Ordinal), cancellationToken);
        await FlipAsync(stores.Objects, blob.Key, cancellationToken);
    }

    public static async Task FlipAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        using var bytes = new MemoryStream();
        await using (var content = await store.OpenReadAsync(key, cancellationToken: cancellationToken)) await content!.CopyToAsync(bytes, cancellationToken);
        bytes.GetBuffer()[bytes.Length / 2] ^= 1;
        bytes.Position = 0;
        if (store.LocalPath(key) is { } path)
        {
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Write); // in place: the same inode
            await bytes.CopyToAsync(file, cancellationToken);
        }
        else
        {
            await store.PutAsync(key, bytes, PutMode.Replace, cancellationToken);
        }
    }
}
