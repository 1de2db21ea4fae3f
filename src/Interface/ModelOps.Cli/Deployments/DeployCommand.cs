using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Deployments;

internal static class DeployCommand
{
    public static Command Create(CommandFactory cli)
    {
        var artifact = new Argument<string>("artifact") { Description = "gguf artifact, name or name@version" };
        var name = new Option<string>("--name") { Description = "The model id that answers", Required = true };
        var contextSize = new Option<int?>("--context-size") { Description = "Tokens of context per request", HelpName = "N" };
        var slots = new Option<int?>("--slots") { Description = "Requests decoded together", HelpName = "N" };
        return cli.Command(
            "deploy", "Verifies a model, loads it, and lets it answer under a name.",
            ["modelops deploy support-q8-0 --name support", "modelops deploy support-q8-0@2 --name support --slots 8"],
            [artifact, name, contextSize, slots],
            async (invocation, cancellationToken) =>
            {
                var request = new CreateDeployment
                {
                    Artifact = invocation.Get(artifact),
                    Name = invocation.Get(name)!,
                    ContextSize = invocation.Get(contextSize),
                    Slots = invocation.Get(slots),
                };
                var deployment = await ProgressView.RunAsync(invocation, $"Deploy {request.Artifact}", progress =>
                {
                    progress.Report(new ProgressUpdate("verifying and loading", 0, null));
                    return invocation.Client.Deployments.CreateAsync(request, cancellationToken);
                });
                invocation.Write(deployment, JsonOutput.Wire.Deployment, _ =>
                {
                    DeploymentsCommand.Show(invocation, [deployment]);
                    invocation.Host.Out.WriteLine($"Next: modelops chat {deployment.Name}");
                });
                return ExitCodes.Done;
            });
    }
}
