using System.Runtime.InteropServices;

namespace ModelOps.Registry;

/// <summary>What tells a file from another, or from itself after an ordinary write.</summary>
/// <param name="Modified">Nanoseconds since 1970.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly partial record struct FileIdentity(ulong Device, ulong Inode, ulong Size, long Modified)
{
    private const int currentFolder = -100; // AT_FDCWD
    private const int noFollow = 0x100; // AT_SYMLINK_NOFOLLOW
    private const uint basicStats = 0x7ff; // STATX_BASIC_STATS

    /// <returns>Null when there is no such file.</returns>
    public static FileIdentity? Of(string path) =>
        Statx(currentFolder, path, noFollow, basicStats, out var found) == 0
            ? new FileIdentity(
                ((ulong)found.DeviceMajor << 32) | found.DeviceMinor,
                found.Inode,
                found.Size,
                (found.ModifiedSeconds * 1_000_000_000) + found.ModifiedNanoseconds)
            : null;

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Statx(int folder, string path, int flags, uint mask, out StatxBuffer found);

    /// <summary><c>struct statx</c> of Linux, the same on every architecture (statx(2)).</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatxBuffer
    {
        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(112)]
        public long ModifiedSeconds;

        [FieldOffset(120)]
        public uint ModifiedNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
