using System.Text.RegularExpressions;

namespace ModelOps.Tests.Repository;

/// <summary>What README and docs name is there.</summary>
public sealed partial class DocumentTests
{
    [Fact]
    public void Paths_NamedInDocuments_Exist()
    {
        var documents = RepositoryRoot.Files("*.md").Where(path => path == "README.md" || path.StartsWith("docs/", StringComparison.Ordinal)).ToList();
        Assert.Contains("README.md", documents);
        var named = documents.SelectMany(document => Paths(document).Select(path => (document, path))).ToList();
        Assert.NotEmpty(named);
        var missing = named.Where(name => !Exists(name.document, name.path)).Select(name => $"{name.document} names {name.path}");
        Assert.Empty(missing);
    }

    // A path is a link's target, or a code span that begins with a folder or file of the root.
    private static IEnumerable<string> Paths(string document)
    {
        var text = File.ReadAllText(Path.Combine(RepositoryRoot.Path, document));
        var links = Link().Matches(text).Select(match => match.Groups["path"].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith('#'));
        var spans = CodeSpan().Matches(text).Select(match => match.Groups["path"].Value)
            .Where(span => !span.Contains(' ', StringComparison.Ordinal) && span.Contains('/', StringComparison.Ordinal))
            .Where(span => KnownRoots().Contains(span.TrimStart('.', '/').Split('/')[0], StringComparer.Ordinal))
            .Where(span => !span.StartsWith("artifacts/", StringComparison.Ordinal)); // made by the build
        return links.Concat(spans);
    }

    private static bool Exists(string document, string path)
    {
        var beside = Path.Combine(RepositoryRoot.Path, Path.GetDirectoryName(document)!, path);
        var fromRoot = Path.Combine(RepositoryRoot.Path, path);
        return Path.Exists(beside) || Path.Exists(fromRoot);
    }

    private static IEnumerable<string> KnownRoots() =>
        ["src", "tests", "native", "samples", "docs", "benchmarks", "workers", "deploy", ".ci", "test", "modelops"];

    [GeneratedRegex(@"\]\((?<path>[^)\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();

    [GeneratedRegex("`(?<path>[^`\n]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CodeSpan();
}
