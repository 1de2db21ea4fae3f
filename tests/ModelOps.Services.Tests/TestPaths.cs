namespace ModelOps.Services.Tests;

/// <summary>Folders that tests find by walking up from where they run.</summary>
internal static class TestPaths
{
    public static string Repository { get; } = FindUp("ModelOps.slnx") is { } solution
        ? Path.GetDirectoryName(solution)!
        : throw new InvalidOperationException($"No ModelOps.slnx above {AppContext.BaseDirectory}.");

    public static string Project { get; } = Path.Combine(Repository, "tests", "ModelOps.Services.Tests");

    /// <summary>Data of others that is not part of the repository; skips the test where it is absent.</summary>
    public static string SharedData(string name)
    {
        var path = FindUp(Path.Combine("shared", "data", name));
        Assert.SkipWhen(path is null, $"There is no shared/data/{name} beside the repository.");
        return path;
    }

    private static string? FindUp(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, relative);
            if (Path.Exists(path))
                return path;
        }
        return null;
    }
}
