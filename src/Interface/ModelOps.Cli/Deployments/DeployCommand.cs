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
        var replicas = new Option<int?>("--replicas") { Description = "Worker processes in which it is loaded", HelpName = "N" };
        var contextSize = new Option<int?>("--context-size") { Description = "Tokens of context per request", HelpName = "N" };
        var slots = new Option<int?>("--slots") { Description = "Requests decoded together", HelpName = "N" };
        var queueLength = new Option<int?>("--queue-length") { Description = "Requests that may wait for a slot", HelpName = "N" };
        var keepAlive = new Option<int?>("--keep-alive") { Description = "Without a request for so long its weights leave memory", HelpName = "SECONDS" };
        var adapters = new Option<string[]>("--adapter")
        {
            Description = "Adapter to serve beside the model, as NAME:ADAPTER; may be repeated",
            HelpName = "ADAPTER=ARTIFACT",
        };
        return cli.Command(
            "deploy", "Verifies a model, loads it, and lets it answer under a name; replaces what has the name.",
            [
                "modelops deploy support-q8-0 --name support", "modelops deploy support-q8-0@2 --name support --slots 8 --replicas 2",
                "modelops deploy base-q8-0 --name base --adapter formal=formal-lora --adapter short=short-lora@3",
            ],
            [artifact, name, replicas, contextSize, slots, queueLength, keepAlive, adapters],
            async (invocation, cancellationToken) =>
            {
                var request = new CreateDeployment
                {
                    Artifact = invocation.Get(artifact),
                    Name = invocation.Get(name)!,
                    Replicas = invocation.Get(replicas),
                    ContextSize = invocation.Get(contextSize),
                    Slots = invocation.Get(slots),
                    QueueLength = invocation.Get(queueLength),
                    KeepAliveSeconds = invocation.Get(keepAlive),
                    Adapters = Adapters(invocation.Get(adapters) ?? []),
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

    private static Dictionary<string, string> Adapters(string[] written)
    {
        var adapters = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var adapter in written)
        {
            if (adapter.Split('=', 2) is not [{ Length: > 0 } name, { Length: > 0 } artifact])
                throw UsageException.Of($"'{adapter}' is not ADAPTER=ARTIFACT; write it like formal=formal-lora@2.");
            if (!adapters.TryAdd(name, artifact)) throw UsageException.Of($"the adapter '{name}' is given twice.");
        }
        return adapters;
    }
}
