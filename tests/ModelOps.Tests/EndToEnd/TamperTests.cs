using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A byte that changes in the store, as someone at the command line meets it: found, named, and refused wherever it is used.</summary>
public sealed class TamperTests : IAsyncLifetime
{
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Verify_AByteChangedInTheStore_GivesCode6AndNamesTheFile()
    {
        await using var server = await TestServer.StartAsync(home, Cancel);
        var folder = Directory.CreateDirectory(Path.Combine(home, "folder")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", Cancel);
        await File.WriteAllTextAsync(Path.Combine(folder, "weights.gguf"), "GGUF and four layers", Cancel);
        await RunAsync(ExitCodes.Done, "artifacts", "push", folder, "--name", "demo", "--kind", "gguf");
        Assert.Contains("demo@1 is verified", (await RunAsync(ExitCodes.Done, "artifacts", "verify", "demo")).Out, StringComparison.Ordinal);

        await ChangeAByteAsync(server.Client, "demo", "weights.gguf");

        var found = await RunAsync(ExitCodes.VerificationFailed, "artifacts", "verify", "demo");
        Assert.Contains("weights.gguf", found.Error, StringComparison.Ordinal);
        Assert.Contains("do not use it", found.Error, StringComparison.Ordinal);
        var refused = await RunAsync(ExitCodes.VerificationFailed, "deploy", "demo", "--name", "demo");
        Assert.Contains("weights.gguf", refused.Error, StringComparison.Ordinal);
        Assert.Empty(await server.Client.Deployments.ListAsync(Cancel));
        await AuditedAsync(server.Client, "demo@1", "weights.gguf");
    }

    [Fact]
    public async Task Train_OnAChangedBase_GivesCode6AndLeavesNoAdapter()
    {
        await using var server = await TestServer.StartAsync(home, Cancel);
        await RunAsync(ExitCodes.Done, "models", "import", Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), "--name", "base");
        await RunAsync(ExitCodes.Done, "datasets", "create", "rows", Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"));

        await ChangeAByteAsync(server.Client, "base", "model.safetensors");

        var refused = await RunAsync(
            ExitCodes.VerificationFailed, "train", "sft", "--base", "base", "--dataset", "rows", "--name", "tuned", "--max-steps", "1", "--watch");
        Assert.Contains("model.safetensors", refused.Error, StringComparison.Ordinal);
        Assert.Empty(await server.Client.Artifacts.ListAsync("adapter", Cancel));
        await AuditedAsync(server.Client, "base@1", "model.safetensors");
    }

    private async Task<CliRun> RunAsync(int code, params string[] args)
    {
        var run = await CliRun.Of([.. args, "--home", home], cancellationToken: Cancel);
        Assert.True(run.Code == code, $"{string.Join(' ', args)} ended with {run.Code}, not {code}:\n{run.Out}\n{run.Error}");
        return run;
    }

    private async Task ChangeAByteAsync(ModelOpsClient client, string artifact, string file) =>
        await StoredBytes.FlipAsync(
            home, (await client.Artifacts.GetAsync(artifact, Cancel)).Files.Single(candidate => candidate.Path == file).Sha256, Cancel);

    private static async Task AuditedAsync(ModelOpsClient client, string artifact, string file)
    {
        var entries = await client.Audit.ListAsync(new AuditFilter { Action = "artifact.refused", Subject = artifact }, Cancel).ToListAsync(Cancel);
        Assert.NotEmpty(entries);
        Assert.Contains(entries, entry => entry.Detail.GetRawText().Contains(file, StringComparison.Ordinal));
    }
}
