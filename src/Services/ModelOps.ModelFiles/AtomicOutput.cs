namespace ModelOps.ModelFiles;

/// <summary>Files and folders that appear under their name only when they are complete: a temporary neighbour, then a rename.</summary>
internal static class AtomicOutput
{
    public static void WriteFile(string path, Action<FileStream> write)
    {
        var target = Path.GetFullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        var temporary = TemporaryNeighbour(target);
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, target, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <exception cref="IOException">The folder exists and is not empty.</exception>
    public static void WriteFolder(string path, Action<string> write)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
            throw new IOException($"{target} exists and is not empty; choose another output folder or delete it.");
        var temporary = TemporaryNeighbour(target);
        try
        {
            Directory.CreateDirectory(temporary);
            write(temporary);
            if (Directory.Exists(target)) Directory.Delete(target);
            Directory.Move(temporary, target);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }

    private static string TemporaryNeighbour(string path) =>
        Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}.tmp");
}
