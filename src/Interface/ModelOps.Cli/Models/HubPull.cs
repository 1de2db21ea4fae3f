using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Models;

/// <summary>Gets a model from the hub and registers it. What has come of a broken download is gone on with by the next try.</summary>
internal sealed class HubPull(ModelOpsClient client, Invocation invocation) : IDisposable
{
    private readonly HubClient hub = new(HubOptions.FromEnvironment(invocation.Host.Variable) with { Time = invocation.Host.Time });

    public static string NameOf(HubReference reference) => ModelsCommand.NameOf($"{reference.Repository}."); // the dot keeps Qwen2.5 whole

    /// <summary>What a snapshot's artifact names as its source.</summary>
    public static string SourceOf(HubSnapshot snapshot) => $"hf:{snapshot.Repository}@{snapshot.Commit}";

    public Task<HubSnapshot> FindAsync(HubReference reference, CancellationToken cancellationToken) => hub.FindAsync(reference, cancellationToken);

    public async Task<Artifact> RunAsync(HubSnapshot snapshot, string name, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(invocation.Home.Folder, "downloads", $"{snapshot.Repository.Replace("/", "--", StringComparison.Ordinal)}@{snapshot.Commit}");
        await hub.DownloadAsync(snapshot, folder, ArtifactPush.Bytes(progress, "downloading"), cancellationToken);
        ModelsCommand.RequireModelFolder(folder);
        var artifact = await ArtifactPush.RunAsync(
            client, name, ModelsCommand.Kind, cancel => LocalFiles.HashFolderAsync(folder, cancel), snapshot.License, SourceOf(snapshot), progress, cancellationToken);
        Directory.Delete(folder, recursive: true);
        return artifact;
    }

    public void Dispose() => hub.Dispose();
}
