using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Serving;

/// <summary>
/// The README's clients as they stand there, but for the address: curl, npm's openai, and the C# program, compiled with NuGet's OpenAI. Python's openai is not installed: its
/// block is parsed, and its request is sent by tests/clients/readme.py.
/// </summary>
[Collection(nameof(ServingCollection))]
public sealed class ReadmeTests(ServingFixture fixture)
{
    private const string Readme = "README.md";
    private const string Mark = "\u001e";
    private const string Address = "https://127.0.0.1:8000";
    private const string Model = "wordsmith-qa";

    // What the program needs beyond the runtime.
    private static readonly string[] libraries = ["OpenAI.dll", "System.ClientModel.dll", "System.Memory.Data.dll"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Clients_OfTheReadme_GetAnAnswer()
    {
        using var shell = new UserShell(fixture.Server.Home);
        var setup = Assert.Single(UserShell.Blocks(Readme, "sh"), block => block.Contains("curl", StringComparison.Ordinal));
        Assert.Contains(Address, setup, StringComparison.Ordinal);
        await CompileAsync(shell.Folder, Assert.Single(UserShell.Blocks(Readme, "csharp")));
        await NodePackages.RestoreAsync(Path.Combine(RepositoryRoot.Path, "tests/clients"), "openai", Cancel);
        Directory.CreateSymbolicLink(Path.Combine(shell.Folder, "node_modules"), Path.Combine(RepositoryRoot.Path, "tests/clients/node_modules"));
        await File.WriteAllTextAsync(Path.Combine(shell.Folder, "ask.mjs"), Assert.Single(UserShell.Blocks(Readme, "js")), Cancel);
        await File.WriteAllTextAsync(Path.Combine(shell.Folder, "ask.py"), Assert.Single(UserShell.Blocks(Readme, "python")), Cancel);
        await fixture.Server.Client.Deployments.CreateAsync(new CreateDeployment { Name = Model, Artifact = "words-q8" }, Cancel);
        try
        {
            var script = $"""
                set -euo pipefail
                {setup.Replace(Address, fixture.Server.Client.Server.AbsoluteUri.TrimEnd('/'), StringComparison.Ordinal)}
                printf '{Mark}'; node ask.mjs
                printf '{Mark}'; if [ "$(printenv CI)" = true ] || command -v python3 >/dev/null; then python3 '{Path.Combine(RepositoryRoot.Path, "tests/clients/readme.py")}' <ask.py; else echo 'no python3'; fi
                printf '{Mark}'; '{Path.Combine(UserShell.DotnetRoot, "dotnet")}' exec --runtimeconfig '{Path.Combine(AppContext.BaseDirectory, "ModelOps.Tests.runtimeconfig.json")}' ask.dll

                """;
            var (code, output) = await shell.RunAsync(script, Cancel);
            Assert.True(code == 0, output);
            var answers = output.Split(Mark);
            var curl = JsonElement.Parse(answers[0][answers[0].IndexOf('{', StringComparison.Ordinal)..]); // behind its progress
            Assert.Equal(Model, curl.Text("model"));
            Assert.NotEmpty(curl.GetProperty("choices")[0].Text("message", "content"));
            Assert.Equal(4, answers.Length);
            Assert.All(answers[1..], answer => Assert.NotEmpty(answer.Trim()));
        }
        finally
        {
            await fixture.Server.Client.Deployments.StopAsync(Model, Cancel);
        }
    }

    /// <summary>As <c>dotnet run ask.cs</c> does it, with the package that is restored for the tests.</summary>
    private static async Task CompileAsync(string folder, string program)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "ask.cs"), program, Cancel);
        await File.WriteAllTextAsync(Path.Combine(folder, "implicit.cs"), "global using System;", Cancel);
        var assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        foreach (var library in libraries) File.CreateSymbolicLink(Path.Combine(folder, library), assemblies.Single(path => Path.GetFileName(path) == library));
        var framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var references = assemblies.Where(path => Path.GetDirectoryName(path) == framework || libraries.Contains(Path.GetFileName(path))).Select(path => $"-r:{path}");
        var compiler = Directory.EnumerateDirectories(Path.Combine(UserShell.DotnetRoot, "sdk"), "10.*").Order(StringComparer.Ordinal).Last();
        await ProcessRun.ExpectSuccessAsync(
            Path.Combine(UserShell.DotnetRoot, "dotnet"),
            ["exec", Path.Combine(compiler, "Roslyn/bincore/csc.dll"), "-nologo", "-noconfig", "-nullable", "-features:FileBasedProgram", "-out:ask.dll", .. references, "ask.cs", "implicit.cs"],
            folder, [], Cancel);
    }
}
