using System.Runtime.Versioning;
using ModelOps.Cli;

namespace ModelOps.Tests.Cli;

/// <summary>The command line's side of a server process, with shell scripts as the process.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ServeTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-serve-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact(Timeout = 30_000)]
    public async Task Serve_ServerEnds_GivesItsCodeAndItsArguments()
    {
        var run = await RunAsync(["serve", "--port", "0"], $"echo \"$@\" > {folder}/args; exit 4", TestContext.Current.CancellationToken);

        Assert.Equal(4, run.Code);
        Assert.Equal($"--home {folder}/home --port 0\n", await File.ReadAllTextAsync(Path.Combine(folder, "args"), TestContext.Current.CancellationToken));
    }

    [Fact(Timeout = 30_000)]
    public async Task Serve_Interrupted_AsksTheServerToStopAndGivesItsCode()
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var started = new FileSystemWatcher(folder, "up");
        started.Created += (_, _) => interrupt.Cancel();
        started.EnableRaisingEvents = true;

        var run = await RunAsync(
            ["serve"], $"trap 'echo bye > {folder}/stopped; kill $!; exit 9' TERM; sleep 60 & touch {folder}/up; wait",
            interrupt.Token);

        Assert.Equal(9, run.Code);
        Assert.True(File.Exists(Path.Combine(folder, "stopped")));
    }

    [Fact(Timeout = 30_000)]
    public async Task Serve_NotInstalled_SaysWhereItLookedAndGivesCode3()
    {
        var run = await CliRun.Of(
            ["serve", "--home", folder],
            variables: new Dictionary<string, string>(StringComparer.Ordinal) { ["MODELOPS_SERVER_PATH"] = "/nowhere/server" },
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.NotFound, run.Code);
        Assert.Contains("/nowhere/server", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Quickstart_ServerDoesNotStart_ShowsTheEndOfItsLog()
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "rows.jsonl"), "{}", TestContext.Current.CancellationToken);

        var run = await RunAsync(
            ["quickstart", "--yes", "--data", $"{folder}/rows.jsonl", "--base", "wordsmith"], "echo the disk is full >&2; exit 1",
            TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Unreachable, run.Code);
        Assert.Contains("ended with code 1", run.Error, StringComparison.Ordinal);
        Assert.Contains("the disk is full", run.Error, StringComparison.Ordinal);
    }

    private async Task<CliRun> RunAsync(string[] args, string script, CancellationToken cancellationToken)
    {
        var server = Path.Combine(folder, "server.sh");
        await File.WriteAllTextAsync(server, $"#!/bin/bash\n{script}\n", cancellationToken);
        File.SetUnixFileMode(server, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return await CliRun.Of(
            [.. args, "--home", Path.Combine(folder, "home")],
            variables: new Dictionary<string, string>(StringComparer.Ordinal) { ["MODELOPS_SERVER_PATH"] = server },
            cancellationToken: cancellationToken);
    }
}
