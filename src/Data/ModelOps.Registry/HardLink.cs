using System.Runtime.InteropServices;

namespace ModelOps.Registry;

/// <summary>link(2): makes a name for a file exclusively, without copying it.</summary>
internal static partial class HardLink
{
    /// <returns>False when <paramref name="path"/> exists or the file systems don't allow the link.</returns>
    public static bool TryCreate(string existing, string path) => Link(existing, path) == 0;

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Link(string existing, string path);
}
