using System.Security.Cryptography;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>Every command of docs/ works: the pages one after the other, on one server, as somebody who reads them all would type them.</summary>
[EmbeddedOnly("documents of commands, whatever the server keeps its data in")]
public sealed class DocumentedCommandsTests : IDisposable
{
    private const string Plugin = "ExamplePlugin"; // the template, as it is
    private const string Mark = "\u001e"; // written before each command's exit code

    // Later pages use what earlier ones make; those that are not named here come last.
    private static readonly string[] order = ["models", "datasets", "training", "evaluation", "quantization", "serving", "artifacts", "workflows", "operations"];

    private readonly string home = TestServer.NewHome();
    private readonly UserShell shell;

    public DocumentedCommandsTests() => shell = new(home);

    public void Dispose()
    {
        shell.Dispose();
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public void Commands_OutsideOfConsoleBlocks_AreMarkedAsText() =>
        Assert.Empty(Pages().SelectMany(page => DocumentedCommands.Of(page.Text).Untested.Select(line => $"{page.Name}: {line}")));

    [Fact]
    public void Commands_OfAPage_AreReadWithWhatTheyMustDo()
    {
        const string Page = """
            ```yaml
            # recipe.yaml
            rank: 8
            ```
            ```console
            $ modelops one \
              --two
            wrote … rows
            $ modelops three   # exit code 5: it is there
            ```
            ```sh
            modelops four
            ```
            ```text
            modelops five
            ```

            """;

        var read = DocumentedCommands.Of(Page);

        Assert.Equal(["modelops one \\\n  --two", "modelops three   # exit code 5: it is there"], read.Commands.Select(command => command.Text));
        Assert.Equal([0, 5], read.Commands.Select(command => command.ExitCode));
        Assert.Equal(("recipe.yaml", "rank: 8\n"), read.Files.Select(file => (file.Key, file.Value)).Single());
        Assert.Equal(["modelops four"], read.Untested);
        Assert.Null(read.Commands[0].Fault(0, "x\nwrote 12 rows\n"));
        Assert.Equal("did not write 'wrote … rows'", read.Commands[0].Fault(0, "wrote nothing\n"));
        Assert.Equal("ended with 0, not 5", read.Commands[1].Fault(0, ""));
    }

    [Fact]
    public async Task Commands_OfAllPages_EndAsTheirPageSays()
    {
        var cancel = TestContext.Current.CancellationToken;
        Directory.CreateSymbolicLink(Path.Combine(shell.Folder, "samples"), Path.Combine(RepositoryRoot.Path, "samples"));
        await using var server = await TestServer.StartAsync(home, cancel, $"plugins:allowed:{Plugin}={await InstallPluginAsync(home, cancel)}");
        Assert.Superset(order.ToHashSet(StringComparer.Ordinal), Pages().Select(page => page.Name).ToHashSet(StringComparer.Ordinal));
        var faults = new List<string>();
        foreach (var (name, text) in Pages()) faults.AddRange(await FaultsAsync(name, DocumentedCommands.Of(text), cancel));
        Assert.True(faults.Count == 0, string.Join("\n\n", faults));
    }

    private async Task<IReadOnlyList<string>> FaultsAsync(string page, DocumentedCommands documented, CancellationToken cancellationToken)
    {
        foreach (var (name, content) in documented.Files) await File.WriteAllTextAsync(Path.Combine(shell.Folder, name), content, cancellationToken);
        if (documented.Commands.Count == 0) return [];
        var script = string.Concat(documented.Commands.Select(command => $"{command.Text}\nprintf '{Mark}%s\\n' $?\n"));
        var runs = (await shell.RunAsync(script, cancellationToken)).Output.Split(Mark);
        var faults = new List<string>();
        for (var i = 0; i < documented.Commands.Count; i++)
        {
            var output = i >= runs.Length ? "" : runs[i][(i == 0 ? 0 : runs[i].IndexOf('\n', StringComparison.Ordinal) + 1)..]; // behind the code of the one before
            var code = i + 1 < runs.Length ? int.Parse(runs[i + 1].Split('\n')[0]) : -1;
            if (documented.Commands[i].Fault(code, output) is { } fault) faults.Add($"{page}: '{documented.Commands[i].Text}' {fault}:\n{output}");
        }
        return faults;
    }

    /// <returns>Its SHA-256.</returns>
    private static async Task<string> InstallPluginAsync(string home, CancellationToken cancellationToken)
    {
        var file = Path.Combine(Directory.CreateDirectory(Path.Combine(home, "plugins", Plugin)).FullName, $"{Plugin}.dll");
        File.Copy(Path.Combine(RepositoryRoot.Path, "artifacts", "bin", Plugin, "release", $"{Plugin}.dll"), file);
        return Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file, cancellationToken)));
    }

    private static IEnumerable<(string Name, string Text)> Pages() =>
        from path in Directory.EnumerateFiles(Path.Combine(RepositoryRoot.Path, "docs"), "*.md")
        let name = Path.GetFileNameWithoutExtension(path)
        orderby Array.IndexOf(order, name) is >= 0 and var place ? place : order.Length, name
        select (name, File.ReadAllText(path));
}
