using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ModelOps.Storage;

/// <summary>What a file system needs for a name to survive a power cut.</summary>
internal static partial class Durable
{
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
        using var handle = Open(folder, flags: 0x10000 /* O_RDONLY | O_DIRECTORY */, mode: 0);
        if (handle.IsInvalid || Sync(handle) != 0)
            throw new IOException($"{folder} cannot be synced: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);
}
