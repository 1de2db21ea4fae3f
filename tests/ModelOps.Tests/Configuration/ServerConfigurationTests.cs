using System.Diagnostics;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Configuration;

/// <summary>The server's program and the command line around it, with real processes.</summary>
public sealed class ServerConfigurationTests : IDisposable
{
    private static readonly string server = Path.Combine(RepositoryRoot.Path, "artifacts/bin/ModelOps.Server/release/ModelOps.Server");
    private readonly string home = TestServer.NewHome();

    public void Dispose() => Directory.Delete(home, recursive: true);

    [Fact(Timeout = 60_000)]
    public async Task Serve_WithSeveralFaults_NamesThemAllAndEndsWith2()
    {
        var cancel = TestContext.Current.CancellationToken;
        await File.WriteAllTextAsync(Path.Combine(home, "modelops.json"), """{ "listen": { "prot": 1, "address": "nowhere" } }""", cancel);
        using var process = Process.Start(new ProcessStartInfo(server, ["--home", home, "--port", "x"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            Environment = { ["MODELOPS__LIMITS__HEADER_TIMEOUT"] = "1h" },
        })!;
        var errors = await process.StandardError.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);
        Assert.Equal(2, process.ExitCode);
        Assert.Contains("listen:prot", errors, StringComparison.Ordinal);
        Assert.Contains("did you mean listen:port?", errors, StringComparison.Ordinal);
        Assert.Contains("listen:port is 'x' (flag --port)", errors, StringComparison.Ordinal);
        Assert.Contains("limits:header_timeout is '1h' (environment MODELOPS__LIMITS__HEADER_TIMEOUT): allowed is from 1s to 10m", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(home, "metadata.db")));
    }

    [Fact(Timeout = 120_000)]
    public async Task Doctor_WithoutARunningServer_TellsTheEffectiveConfigurationWithoutSecrets()
    {
        var cancel = TestContext.Current.CancellationToken;
        await File.WriteAllTextAsync(
            Path.Combine(home, "modelops.json"), """{ "listen": { "port": 8123 }, "tls": { "certificate": "c.p12", "password": "hunter2" } }""", cancel);
        var variables = new Dictionary<string, string>(StringComparer.Ordinal) { ["MODELOPS_SERVER_PATH"] = server };

        var run = await CliRun.Of(["doctor", "--json", "--home", home], variables: variables, cancellationToken: cancel);
        using var report = JsonDocument.Parse(run.Out);
        var values = report.RootElement.GetProperty("configuration").GetProperty("values").EnumerateArray()
            .ToDictionary(value => value.GetProperty("key").GetString()!, StringComparer.Ordinal);
        Assert.Equal("8123", values["listen:port"].GetProperty("value").GetString());
        Assert.EndsWith("modelops.json", values["listen:port"].GetProperty("source").GetString(), StringComparison.Ordinal);
        Assert.Equal("default", values["listen:address"].GetProperty("source").GetString());
        Assert.True(values["tls:password"].GetProperty("secret").GetBoolean());
        Assert.DoesNotContain("hunter2", run.Out, StringComparison.Ordinal);

        var forPeople = await CliRun.Of(["doctor", "--home", home], variables: variables, cancellationToken: cancel);
        Assert.Contains("8123", forPeople.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", forPeople.Out, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task Doctor_WithAWrongConfiguration_NamesTheFaultAndGivesCode1()
    {
        await File.WriteAllTextAsync(Path.Combine(home, "modelops.json"), """{ "listne": { "port": 8123 } }""", TestContext.Current.CancellationToken);
        var run = await CliRun.Of(
            ["doctor", "--home", home], variables: new Dictionary<string, string>(StringComparer.Ordinal) { ["MODELOPS_SERVER_PATH"] = server },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(ExitCodes.Failed, run.Code);
        Assert.Contains("did you mean listen:port?", run.Out, StringComparison.Ordinal);
    }
}
