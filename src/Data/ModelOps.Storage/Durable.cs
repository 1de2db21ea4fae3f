using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ModelOps.Storage;

internal enum FolderLock
{
    Locked,

    /// <summary>Another open file holds the lock.</summary>
    Busy,

    /// <summary>There is no such folder.</summary>
    Gone,

    /// <summary>The file system has no locks for folders; network file systems are such.</summary>
    Unsupported,
}

/// <summary>What a file system needs for a name to survive a power cut.</summary>
internal static partial class Durable
{
    private const int ReadFolder = 0x90000; // O_RDONLY | O_DIRECTORY | O_CLOEXEC: a child process must not keep a lock
    private const int NoSuchEntry = 2; // ENOENT
    private const int WouldBlock = 11; // EWOULDBLOCK

    /// <summary>Makes a folder and its missing parents, each recorded in its own parent.</summary>
    public static void CreateFolder(string folder)
    {
        if (Directory.Exists(folder)) return;
        var parent = Path.GetDirectoryName(folder)!;
        CreateFolder(parent);
        Directory.CreateDirectory(folder);
        SyncFolder(parent);
    }

    public static void SyncFolder(string folder)
    {
        using var handle = Open(folder, ReadFolder, mode: 0);
        if (handle.IsInvalid || Sync(handle) != 0)
            throw new IOException($"{folder} cannot be synced: {Marshal.GetLastPInvokeErrorMessage()}", Marshal.GetLastPInvokeError());
    }

    /// <summary>flock(2), exclusive, without waiting.</summary>
    /// <param name="handle">Holds the lock until it is closed; null unless <see cref="FolderLock.Locked"/>.</param>
    public static FolderLock TryLockFolder(string folder, out SafeFileHandle? handle)
    {
        handle = null;
        var opened = Open(folder, ReadFolder, mode: 0);
        var result = opened.IsInvalid ? -1 : Lock(opened, operation: 6 /* LOCK_EX | LOCK_NB */);
        if (result == 0)
        {
            handle = opened;
            return FolderLock.Locked;
        }
        var error = Marshal.GetLastPInvokeError();
        opened.Dispose();
        return error switch
        {
            NoSuchEntry => FolderLock.Gone,
            WouldBlock => FolderLock.Busy,
            _ => FolderLock.Unsupported,
        };
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle file, int operation);
}
