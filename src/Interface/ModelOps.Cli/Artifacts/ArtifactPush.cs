using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Artifacts;

internal static class ArtifactPush
{
    public static Task<Artifact> RunAsync(
        Invocation invocation, ModelOpsClient client, string name, string kind, string folder, CancellationToken cancellationToken) =>
        RunAsync(invocation, client, name, kind, cancel => LocalFiles.HashFolderAsync(folder, cancel), license: null, source: null, cancellationToken);

    /// <param name="hash">Hashes what is pushed.</param>
    public static Task<Artifact> RunAsync(
        Invocation invocation, ModelOpsClient client, string name, string kind, Func<CancellationToken, Task<LocalFiles>> hash, string? license, string? source,
        CancellationToken cancellationToken) =>
        ProgressView.RunAsync(
            invocation, $"Push {name}", progress => RunAsync(client, name, kind, hash, license, source, progress, cancellationToken));

    public static async Task<Artifact> RunAsync(
        ModelOpsClient client, string name, string kind, Func<CancellationToken, Task<LocalFiles>> hash, string? license, string? source,
        IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        progress.Report(new ProgressUpdate("hashing", 0, null));
        var files = await hash(cancellationToken);
        return await client.Artifacts.PushAsync(name, kind, files, license, source, Bytes(progress), cancellationToken);
    }

    public static IProgress<UploadProgress> Bytes(IProgress<ProgressUpdate> progress, string stage = "uploading") =>
        new UploadView(progress, stage);

    private sealed class UploadView(IProgress<ProgressUpdate> progress, string stage) : IProgress<UploadProgress>
    {
        public void Report(UploadProgress value) =>
            progress.Report(new ProgressUpdate(stage, value.Bytes, value.Total, value.Path));
    }
}
