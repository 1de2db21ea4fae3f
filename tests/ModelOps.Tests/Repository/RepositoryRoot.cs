namespace ModelOps.Tests.Repository;

internal static class RepositoryRoot
{
    public static string Path { get; } = Find();

    /// <summary>Files of that pattern below the root, relative and '/'-separated; build outputs and packages are left out.</summary>
    public static IEnumerable<string> Files(string pattern) =>
        Directory.EnumerateFiles(Path, pattern, SearchOption.AllDirectories)
            .Select(file => System.IO.Path.GetRelativePath(Path, file))
            .Where(file => !file.StartsWith("artifacts/", StringComparison.Ordinal) && !file.Contains("node_modules/", StringComparison.Ordinal));

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "ModelOps.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"no ModelOps.slnx above {AppContext.BaseDirectory}");
    }
}
