namespace ModelOps.Data.Tests.Datasets;

/// <summary>Files of others that are not part of the repository: a sibling folder shared/data of some folder above.</summary>
internal static class SharedData
{
    public static string Find(string relativePath)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "shared", "data", relativePath);
            if (Path.Exists(path)) return path;
        }
        Assert.Skip($"shared/data/{relativePath} is not on this machine");
        return "";
    }
}
