using System.Runtime.InteropServices;

namespace ModelOps.Storage;

/// <summary>link(2): a second name for a file, without copying it.</summary>
public static partial class HardLink
{
    private const int AlreadyExists = 17; // EEXIST

    /// <summary>Of many processes that try at once, exactly one gets the name.</summary>
    /// <returns>false: the name is taken.</returns>
    /// <exception cref="IOException">There is no such file, or the file systems of the two do not allow the link.</exception>
    public static bool TryCreate(string existing, string path)
    {
        if (Link(existing, path) == 0) return true;
        return Marshal.GetLastPInvokeError() == AlreadyExists
            ? false
            : throw new IOException($"{path} cannot be made: {Marshal.GetLastPInvokeErrorMessage()}", Marshal.GetLastPInvokeError());
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string path);
}
