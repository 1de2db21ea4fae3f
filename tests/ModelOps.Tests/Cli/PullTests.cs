using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Client;

namespace ModelOps.Tests.Cli;

public sealed class PullTests
{
    [Fact(Timeout = 30_000)]
    public async Task Pull_Model_RegistersItWithLicenceAndSourceAndLeavesNoDownload()
    {
        await using var hub = await HubPeer.StartAsync();
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await PullAsync(hub, peer, [$"hf:{HubPeer.Repository}", "--json"], TestContext.Current.CancellationToken);

        Assert.Equal((ExitCodes.Done, ""), (run.Code, run.Error));
        var artifact = JsonSerializer.Deserialize(run.Out, WireJson.Default.Artifact)!;
        Assert.Equal(("tiny-1.5", "model", "apache-2.0", $"hf:{HubPeer.Repository}@{HubPeer.Commit}"), (artifact.Name, artifact.Kind, artifact.License, artifact.Source));
        Assert.Equal(["LICENSE", "README.md", "config.json", "model.safetensors", "tokenizer.json"], artifact.Files.Select(file => file.Path));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(peer.Home, "downloads")));
    }

    [Theory(Timeout = 30_000)]
    [InlineData("hf:nothing", ExitCodes.Usage, "is not of the form hf:org/name")]
    [InlineData($"hf:{HubPeer.Repository}@v9", ExitCodes.NotFound, "no such branch, tag or commit")]
    public async Task Pull_NoSuchModel_GivesTheCodeOfItsKind(string model, int code, string part)
    {
        await using var hub = await HubPeer.StartAsync();
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await PullAsync(hub, peer, [model], TestContext.Current.CancellationToken);

        Assert.Equal(code, run.Code);
        Assert.Contains(part, run.Error, StringComparison.Ordinal);
    }

    private static Task<CliRun> PullAsync(HubPeer hub, HttpsPeer peer, string[] arguments, CancellationToken cancellationToken) => CliRun.Of(
        ["models", "pull", .. arguments, "--home", peer.Home],
        variables: new Dictionary<string, string>(StringComparer.Ordinal) { [HubOptions.EndpointVariable] = hub.Address.ToString() },
        cancellationToken: cancellationToken);
}
