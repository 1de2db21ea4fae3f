using System.Xml.Linq;

namespace ModelOps.Tests.Repository;

/// <summary>The direction of references: Interface → Orchestration → Services → Data, never back, and no native code in the gateway.</summary>
public sealed class ReferenceTests
{
    private static readonly string[] layers = ["Data", "Services", "Orchestration", "Interface"];
    private static readonly string[] nativeProjects = ["ModelOps.Models", "ModelOps.Training", "ModelOps.Quantization", "ModelOps.Ggml"];
    private static readonly string[] nativePackages = ["TorchSharp", "libtorch-cpu-linux-x64"];

    [Fact]
    public void References_OfEveryProject_PointDownOrSideways()
    {
        var projects = Projects();
        var wrong =
            from project in projects.Values
            from reference in project.References
            where Layer(projects[reference]) > Layer(project)
            select $"{project.Name} ({project.Folder}) references {reference} ({projects[reference].Folder})";
        Assert.Empty(wrong);
    }

    [Fact]
    public void References_OfEveryProject_HaveNoCycle()
    {
        var projects = Projects();
        Assert.All(projects.Values, project => Assert.DoesNotContain(project.Name, Reachable(projects, project.Name)));
    }

    [Fact]
    public void Gateway_DoesNotReachNativeCode()
    {
        var projects = Projects();
        var reachable = Reachable(projects, "ModelOps.Server");
        Assert.Contains("ModelOps.Storage", reachable); // the walk walks
        Assert.Empty(reachable.Intersect(nativeProjects, StringComparer.Ordinal));
        Assert.Empty(reachable.Append("ModelOps.Server").SelectMany(name => projects[name].Packages).Intersect(nativePackages, StringComparer.Ordinal));
    }

    [Fact]
    public void Client_ReferencesNothing()
    {
        var client = Projects()["ModelOps.Client"];
        Assert.Empty(client.References);
        Assert.Empty(client.Packages);
    }

    [Fact]
    public void Solution_HasEveryProject()
    {
        var listed = XDocument.Load(Path.Combine(RepositoryRoot.Path, "ModelOps.slnx")).Descendants("Project")
            .Select(project => project.Attribute("Path")!.Value).Order(StringComparer.Ordinal);
        var present = RepositoryRoot.Files("*.csproj").Order(StringComparer.Ordinal);
        Assert.Equal(present, listed);
    }

    private static int Layer(Project project) => Array.IndexOf(layers, project.Folder);

    private static HashSet<string> Reachable(IReadOnlyDictionary<string, Project> projects, string from)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>(projects[from].References);
        while (open.TryPop(out var next))
            if (seen.Add(next))
                foreach (var reference in projects[next].References) open.Push(reference);
        return seen;
    }

    private static Dictionary<string, Project> Projects() => RepositoryRoot.Files("*.csproj")
        .Where(path => path.StartsWith("src/", StringComparison.Ordinal))
        .Select(Read)
        .ToDictionary(project => project.Name, StringComparer.Ordinal);

    private static Project Read(string path)
    {
        var document = XDocument.Load(Path.Combine(RepositoryRoot.Path, path));
        return new(
            Path.GetFileNameWithoutExtension(path),
            path.Split('/')[1],
            [
                .. document.Descendants("ProjectReference")
                    .Where(reference => reference.Attribute("ReferenceOutputAssembly")?.Value != "false") // build order only: nothing of it is loaded
                    .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value)),
            ],
            [.. document.Descendants("PackageReference").Select(package => package.Attribute("Include")!.Value)]);
    }

    private sealed record Project(string Name, string Folder, IReadOnlyList<string> References, IReadOnlyList<string> Packages);
}
