using Microsoft.Win32.SafeHandles;

namespace ModelOps.Storage;

/// <summary>
/// A folder for one store's unfinished files, locked for as long as its process lives. Who opens a store later can tell by the lock what a
/// killed process left from what another process writes, and removes the one without waiting.
/// </summary>
internal sealed class UnfinishedFiles
{
    private readonly string folder;
    private readonly SafeFileHandle? held; // the kernel unlocks it however the process ends

    private UnfinishedFiles(string folder, SafeFileHandle? held)
    {
        this.folder = folder;
        this.held = held;
    }

    /// <summary>Removes what dead processes left below <paramref name="parent"/> and makes a folder of this store's own.</summary>
    public static UnfinishedFiles Open(string parent)
    {
        Durable.CreateFolder(parent);
        foreach (var left in Directory.EnumerateDirectories(parent)) RemoveIfAbandoned(left);
        while (true)
        {
            var own = Path.Combine(parent, $"{Guid.NewGuid():N}");
            Directory.CreateDirectory(own);
            var locking = Durable.TryLockFolder(own, out var handle);
            // Another store that opens at this moment may have found it unlocked, and removed it.
            if (locking is (FolderLock.Locked or FolderLock.Unsupported) && Directory.Exists(own)) return new(own, handle);
            handle?.Dispose();
        }
    }

    /// <exception cref="ObjectDisposedException">Another store may have removed the folder by now.</exception>
    public string NewPath()
    {
        ObjectDisposedException.ThrowIf(held is { IsClosed: true }, this);
        return Path.Combine(folder, $"{Guid.NewGuid():N}");
    }

    private static void RemoveIfAbandoned(string left)
    {
        var locking = Durable.TryLockFolder(left, out var handle);
        try
        {
            if (locking == FolderLock.Locked) Directory.Delete(left, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Another store that opens at this moment had opened it before it was removed.
        }
        finally
        {
            handle?.Dispose();
        }
    }
}
