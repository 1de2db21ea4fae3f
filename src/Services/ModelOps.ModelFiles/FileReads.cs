using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles;

internal static class FileReads
{
    /// <exception cref="InvalidModelFileException">The file ends before the destination is full.</exception>
    public static void ReadExactly(string path, SafeFileHandle handle, long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var read = RandomAccess.Read(handle, destination, offset);
            if (read == 0) throw new InvalidModelFileException(path, $"ends at byte {offset}, where more is expected");
            destination = destination[read..];
            offset += read;
        }
    }
}
