using System.CommandLine;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Models;

/// <summary>Gets a model from the hub and registers it. What has come of a broken download is gone on with by the next try.</summary>
internal static class PullCommand
{
    public static Command Create(CommandFactory cli)
    {
        var model = new Argument<string>("model") { Description = "hf:org/name, or hf:org/name@revision" };
        var name = new Option<string?>("--name") { Description = "Name of the artifact [default: the model's]" };
        return cli.Command(
            "pull", "Downloads a model from the Hugging Face hub and registers it, signed.",
            ["modelops models pull hf:HuggingFaceTB/SmolLM2-135M-Instruct", "modelops models pull hf:Qwen/Qwen2.5-0.5B-Instruct@main --name base"],
            [model, name],
            async (invocation, cancellationToken) =>
            {
                var reference = HubReference.Parse(invocation.Get(model));
                var artifactName = invocation.Get(name) ?? ModelsCommand.NameOf($"{reference.Repository}."); // the dot keeps Qwen2.5 whole
                var artifact = await RunAsync(invocation, reference, artifactName, cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    private static async Task<Artifact> RunAsync(Invocation invocation, HubReference reference, string name, CancellationToken cancellationToken)
    {
        var client = invocation.Client; // a missing server is told before gigabytes are loaded
        using var hub = new HubClient(HubOptions.FromEnvironment(invocation.Host.Variable) with { Time = invocation.Host.Time });
        var snapshot = await hub.FindAsync(reference, cancellationToken);
        var folder = Path.Combine(invocation.Home.Folder, "downloads", $"{snapshot.Repository.Replace("/", "--", StringComparison.Ordinal)}@{snapshot.Commit}");
        await ProgressView.RunAsync(invocation, $"Pull {reference.Repository}", async progress =>
        {
            await hub.DownloadAsync(snapshot, folder, ArtifactPush.Bytes(progress, "downloading"), cancellationToken);
            return folder;
        });
        ModelsCommand.RequireModelFolder(folder);
        var artifact = await ArtifactPush.RunAsync(
            invocation, client, name, ModelsCommand.Kind, folder, snapshot.License, $"hf:{snapshot.Repository}@{snapshot.Commit}", cancellationToken);
        Directory.Delete(folder, recursive: true);
        return artifact;
    }
}
