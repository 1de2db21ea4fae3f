using System.Text;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Key files that appear complete or not at all.</summary>
internal static class KeyFiles
{
    public const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    public const UnixFileMode Public = Private | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode folderMode = Private | UnixFileMode.UserExecute;

    public static void CreateFolder(string folder) => Directory.CreateDirectory(folder, folderMode);

    /// <summary>Does nothing when the file exists: of racing processes one wins and all then read the winner's file.</summary>
    public static void CreateIfAbsent(string path, string text, UnixFileMode mode)
    {
        var temporary = WriteTemporary(path, text, mode);
        try
        {
            HardLink.TryCreate(temporary, path);
        }
        catch (IOException e)
        {
            throw new IOException($"The key file {path} cannot be made: {e.Message}. Put the keys folder on a file system with hard links.", e);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    public static void Replace(string path, string text, UnixFileMode mode) =>
        File.Move(WriteTemporary(path, text, mode), path, overwrite: true);

    public static void RefuseIfOthersCanRead(string path)
    {
        var mode = File.GetUnixFileMode(path);
        if ((mode & ~Private) != UnixFileMode.None)
            throw new InvalidOperationException($"The private key {path} is open to other users ({mode}). Run: chmod 600 '{path}'");
    }

    private static string WriteTemporary(string path, string text, UnixFileMode mode)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode };
        using var stream = new FileStream(temporary, options);
        stream.Write(Encoding.UTF8.GetBytes(text));
        stream.Flush(flushToDisk: true);
        return temporary;
    }
}
