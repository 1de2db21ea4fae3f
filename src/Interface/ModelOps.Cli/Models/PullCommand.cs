using System.CommandLine;
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
                var client = invocation.Client; // a missing server is told before gigabytes are loaded
                using var pull = new HubPull(client, invocation);
                var snapshot = await pull.FindAsync(reference, cancellationToken);
                var artifact = await ProgressView.RunAsync(
                    invocation, $"Pull {reference.Repository}",
                    progress => pull.RunAsync(snapshot, invocation.Get(name) ?? HubPull.NameOf(reference), progress, cancellationToken));
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }
}
