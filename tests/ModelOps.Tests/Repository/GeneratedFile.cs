namespace ModelOps.Tests.Repository;

/// <summary>A file of the repository that follows from the code: checked, or written anew with <c>MODELOPS_WRITE_DOCS=true ./test Cli</c>.</summary>
internal static class GeneratedFile
{
    private const string Variable = "MODELOPS_WRITE_DOCS";

    public static bool IsWriting => Environment.GetEnvironmentVariable(Variable) == "true";

    /// <param name="path">Relative to the repository's root.</param>
    public static void AssertCurrent(string path, string content, string tests)
    {
        var full = Path.Combine(RepositoryRoot.Path, path);
        if (IsWriting)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            File.WriteAllText(full, content);
            return;
        }
        var present = File.Exists(full) ? File.ReadAllText(full) : null;
        if (present == content) return;
        Assert.Fail($"{path} is {(present is null ? "missing" : $"not current; it differs in line {DifferentLine(present, content)}")}; write it anew: {Variable}=true ./test {tests}");
    }

    /// <summary>Files that nothing generates any longer: none may be left.</summary>
    public static void AssertNoOthers(string folder, string pattern, IEnumerable<string> generated)
    {
        var others = Directory.EnumerateFiles(Path.Combine(RepositoryRoot.Path, folder), pattern).Select(Path.GetFileName).Except(generated, StringComparer.Ordinal);
        Assert.Empty(others);
    }

    private static string DifferentLine(string present, string content)
    {
        var (left, right) = (present.Split('\n'), content.Split('\n'));
        var line = Enumerable.Range(0, Math.Max(left.Length, right.Length)).First(i => i >= left.Length || i >= right.Length || left[i] != right[i]);
        return $"{line + 1}: '{left.ElementAtOrDefault(line)}' should be '{right.ElementAtOrDefault(line)}'";
    }
}
