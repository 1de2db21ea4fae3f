using System.Diagnostics;
using System.Runtime.Versioning;
using ModelOps.Cli;
using ModelOps.Tests.Client;

namespace ModelOps.Tests.Cli;

/// <summary>The real program on a pseudo-terminal, which <c>script</c> of util-linux makes.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class TerminalTests : IDisposable
{
    private const string Script = "/usr/bin/script";

    private readonly string folder = Directory.CreateTempSubdirectory("modelops-terminal-").FullName;

    public TerminalTests() => File.WriteAllText(Path.Combine(folder, "rows.jsonl"), "{\"prompt\":\"First?\"}\n");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_OnATerminal_DrawsProgressThenChats()
    {
        var model = Directory.CreateDirectory(Path.Combine(folder, "tiny")).FullName;
        foreach (var name in new[] { "config.json", "tokenizer.json", "model.safetensors" })
        {
            await File.WriteAllTextAsync(Path.Combine(model, name), name, TestContext.Current.CancellationToken);
        }
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var (code, output) = await RunAsync(
            $"quickstart --data {folder}/rows.jsonl --base {model} --home {peer.Home}", "Hello\n/exit\n", TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, code);
        Assert.Contains("[9/9] Ask held-out rows", output, StringComparison.Ordinal);
        Assert.Contains("\e[", output, StringComparison.Ordinal);
        // Who echoes the keys, terminal or program, depends on when they are typed.
        Assert.Matches("(?s)/exit ends it\\..*> .*An answer\\.\r\n> ", output);
    }

    [Fact(Timeout = 60_000)]
    public async Task Chat_CtrlC_EndsWithCode130()
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var (code, output) = await RunAsync($"chat m --home {peer.Home}", "\x03", TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Canceled, code);
        Assert.Contains("Canceled", output, StringComparison.Ordinal);
    }

    /// <summary>Types <paramref name="keys"/> once the program asks for input.</summary>
    private static async Task<(int Code, string Output)> RunAsync(string arguments, string keys, CancellationToken cancellationToken)
    {
        Assert.SkipUnless(File.Exists(Script), "script (util-linux) is not installed");
        var program = Path.Combine(AppContext.BaseDirectory, "modelops");
        // Whoever runs the tests in a background job ignores SIGINT, and so would all that they start.
        var start = new ProcessStartInfo("env", ["--default-signal=INT", Script, "-qefc", $"{program} {arguments}", "/dev/null"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["TERM"] = "xterm-256color" },
        };
        using var process = Process.Start(start)!;
        try
        {
            var output = new System.Text.StringBuilder();
            var buffer = new char[4096];
            var typed = false;
            int read;
            while ((read = await process.StandardOutput.ReadAsync(buffer, cancellationToken)) > 0)
            {
                output.Append(buffer, 0, read);
                if (!typed && output.ToString().Contains("\n> ", StringComparison.Ordinal))
                {
                    typed = true;
                    await process.StandardInput.WriteAsync(keys.AsMemory(), cancellationToken);
                    await process.StandardInput.FlushAsync(cancellationToken);
                }
            }
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, output.ToString());
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }
}
