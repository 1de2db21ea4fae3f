using System.Diagnostics;
using System.Runtime.InteropServices;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>The bash of a user whose <c>~/.modelops</c> is a server's home folder, with the command line on the path and as <c>./modelops</c>.</summary>
internal sealed class UserShell : IDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private readonly DirectoryInfo home = Directory.CreateTempSubdirectory("modelops-user-");
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-shell-");

    public UserShell(string serverHome)
    {
        Directory.CreateSymbolicLink(Path.Combine(home.FullName, ".modelops"), serverHome);
        var command = Path.Combine(Folder, "modelops");
        File.WriteAllText(command, $"#!/bin/sh\nexec '{Path.Combine(AppContext.BaseDirectory, "modelops")}' \"$@\"\n");
        File.SetUnixFileMode(command, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    /// <summary>Where it works.</summary>
    public string Folder => folder.FullName;

    /// <returns>Its exit code, and what it wrote to both of its outputs.</returns>
    public async Task<(int Code, string Output)> RunAsync(string script, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("bash", ["-c", "exec 2>&1; source /dev/stdin"])
        {
            WorkingDirectory = Folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment =
            {
                ["HOME"] = home.FullName,
                ["PATH"] = $"{Folder}:{Environment.GetEnvironmentVariable("PATH")}",
                ["DOTNET_ROOT"] = DotnetRoot,
            },
        };
        using var bash = Process.Start(start)!;
        var output = bash.StandardOutput.ReadToEndAsync(cancellationToken);
        await bash.StandardInput.WriteAsync(script.AsMemory(), cancellationToken);
        bash.StandardInput.Close();
        try
        {
            var text = await output.WaitAsync(patience, cancellationToken);
            await bash.WaitForExitAsync(cancellationToken).WaitAsync(patience, cancellationToken);
            return (bash.ExitCode, text);
        }
        finally
        {
            if (!bash.HasExited) bash.Kill(entireProcessTree: true);
        }
    }

    public static string DotnetRoot { get; } = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));

    /// <summary>The code blocks of a kind in a document of the repository.</summary>
    public static IReadOnlyList<string> Blocks(string document, string kind) =>
        [.. File.ReadAllText(Path.Combine(RepositoryRoot.Path, document)).Split($"```{kind}\n")[1..].Select(block => block.Split("```")[0])];

    public void Dispose()
    {
        home.Delete(recursive: true);
        folder.Delete(recursive: true);
    }
}
