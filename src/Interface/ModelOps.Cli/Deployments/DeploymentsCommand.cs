using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Deployments;

internal static class DeploymentsCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "deployments", "Models that answer.", [List(cli), ShowOne(cli), Stop(cli), AdaptersCommand.Create(cli)]);

    public static void Show(Invocation invocation, IReadOnlyList<Deployment> deployments)
    {
        var table = invocation.Table("model", "artifact", "state", "replicas", "memory", "context", "slots", "created");
        foreach (var deployment in deployments)
        {
            table.AddTextRow(
                deployment.Name, deployment.Artifact, StateOf(deployment), $"{deployment.ReadyReplicas} of {deployment.Replicas}", Human.Bytes(deployment.MemoryBytes),
                $"{deployment.ContextSize}", $"{deployment.Slots}", Human.Time(deployment.CreatedAt));
            foreach (var adapter in deployment.Adapters)
                table.AddTextRow(adapter.Model, adapter.Artifact, "adapter", "", "", "", "", Human.Time(adapter.CreatedAt));
        }
        invocation.Screen.Write(table);
    }

    private static string StateOf(Deployment deployment) => deployment switch
    {
        { Error: { } error } => $"{deployment.State}: {error}",
        { State: "ready", InMemory: false } => "ready, not in memory",
        _ => deployment.State,
    };

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the deployments.", ["modelops deployments list"], [],
        async (invocation, cancellationToken) =>
        {
            var deployments = await invocation.Client.Deployments.ListAsync(cancellationToken);
            invocation.Write(new Page<Deployment>(deployments), JsonOutput.Wire.PageDeployment, screen =>
            {
                if (deployments.Count == 0)
                {
                    screen.WriteLine("Nothing is deployed. Deploy a model: modelops deploy ARTIFACT --name NAME");
                    return;
                }
                Show(invocation, deployments);
            });
            return ExitCodes.Done;
        });

    private static Command ShowOne(CommandFactory cli)
    {
        var name = Name();
        return cli.Command(
            "show", "Shows a deployment.", ["modelops deployments show support"], [name],
            async (invocation, cancellationToken) =>
            {
                var deployment = await invocation.Client.Deployments.GetAsync(invocation.Get(name), cancellationToken);
                invocation.Write(deployment, JsonOutput.Wire.Deployment, _ => Show(invocation, [deployment]));
                return ExitCodes.Done;
            });
    }

    private static Command Stop(CommandFactory cli)
    {
        var name = Name();
        return cli.Command(
            "stop", "Stops a deployment and frees its memory.", ["modelops deployments stop support"], [name],
            async (invocation, cancellationToken) =>
            {
                var deployment = await invocation.Client.Deployments.GetAsync(invocation.Get(name), cancellationToken);
                await invocation.Client.Deployments.StopAsync(deployment.Name, cancellationToken);
                invocation.Write(deployment, JsonOutput.Wire.Deployment, screen => screen.WriteLine($"{deployment.Name} is stopped."));
                return ExitCodes.Done;
            });
    }

    private static Argument<string> Name() => new("name") { Description = "Name of the deployment" };
}
