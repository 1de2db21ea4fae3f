using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Models;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>The model to begin with: one that the server has, a folder, or one of the hub.</summary>
internal sealed class QuickstartBase(Invocation invocation, ModelOpsClient client)
{
    private const string HubPrefix = "hf:";

    /// <exception cref="ModelOpsException">It is none of the three; said before anything is started.</exception>
    public static void Require(string model)
    {
        if (model.StartsWith(HubPrefix, StringComparison.Ordinal))
        {
            HubReference.Parse(model);
        }
        else if (Directory.Exists(model) || model.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            ModelsCommand.RequireModelFolder(model);
        }
    }

    public Task<(Artifact Model, bool Reused)> GetAsync(string model, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken) =>
        model.StartsWith(HubPrefix, StringComparison.Ordinal) ? PullAsync(HubReference.Parse(model), progress, cancellationToken)
        : Directory.Exists(model) ? ImportAsync(model, progress, cancellationToken)
        : RegisteredAsync(model, cancellationToken);

    private async Task<(Artifact Model, bool Reused)> RegisteredAsync(string model, CancellationToken cancellationToken)
    {
        var artifact = await client.Artifacts.GetAsync(model, cancellationToken);
        return artifact.Kind == ModelsCommand.Kind
            ? (artifact, true)
            : throw CliProblems.Exception(
                ProblemTypes.Invalid, "Not a base model",
                $"{artifact.Reference} is of kind {artifact.Kind}; --base takes a model: see 'modelops models list', or give a folder or hf:org/name.");
    }

    private async Task<(Artifact Model, bool Reused)> ImportAsync(string folder, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        progress.Report(new ProgressUpdate("hashing", 0, null));
        var files = await LocalFiles.HashFolderAsync(folder, cancellationToken);
        var name = ModelsCommand.NameOf(folder);
        var models = await client.Artifacts.ListAsync(ModelsCommand.Kind, cancellationToken);
        return models.LastOrDefault(artifact => artifact.Name == name && artifact.FilesRemovedAt is null && files.SameAs(artifact)) is { } same
            ? (same, true)
            : (await client.Artifacts.PushAsync(name, ModelsCommand.Kind, files, ArtifactPush.Bytes(progress), cancellationToken), false);
    }

    private async Task<(Artifact Model, bool Reused)> PullAsync(HubReference reference, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        using var pull = new HubPull(client, invocation);
        progress.Report(new ProgressUpdate($"asking the hub for {reference.Repository}", 0, null));
        var snapshot = await pull.FindAsync(reference, cancellationToken);
        var models = await client.Artifacts.ListAsync(ModelsCommand.Kind, cancellationToken);
        return models.LastOrDefault(artifact => artifact.FilesRemovedAt is null && artifact.Source == HubPull.SourceOf(snapshot)) is { } same
            ? (same, true)
            : (await pull.RunAsync(snapshot, HubPull.NameOf(reference), progress, cancellationToken), false);
    }
}
