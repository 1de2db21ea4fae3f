using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Deployments;

/// <summary>Adapters that a deployment serves beside its model, each under a model id of its own.</summary>
internal static class AdaptersCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "adapters", "Adapters that a deployment serves beside its model, each as DEPLOYMENT:ADAPTER.", [Add(cli), Remove(cli), List(cli)]);

    private static Command Add(CommandFactory cli)
    {
        var deployment = Deployment();
        var adapter = new Argument<string>("adapter") { Description = "Name under which it is served" };
        var artifact = new Argument<string>("artifact") { Description = "adapter artifact, name or name@version, trained on the deployment's model" };
        return cli.Command(
            "add", "Verifies an adapter, loads it, and lets it answer; replaces one of its name.",
            ["modelops deployments adapters add base formal formal-lora@2"], [deployment, adapter, artifact],
            async (invocation, cancellationToken) =>
            {
                var added = await ProgressView.RunAsync(invocation, $"Add {invocation.Get(artifact)}", progress =>
                {
                    progress.Report(new ProgressUpdate("verifying and loading", 0, null));
                    return invocation.Client.Deployments.AddAdapterAsync(
                        invocation.Get(deployment), invocation.Get(adapter), invocation.Get(artifact), cancellationToken);
                });
                invocation.Write(added, JsonOutput.Wire.DeployedAdapter, screen => screen.WriteLine($"{added.Model} serves {added.Artifact}. Next: modelops chat {added.Model}"));
                return ExitCodes.Done;
            });
    }

    private static Command Remove(CommandFactory cli)
    {
        var deployment = Deployment();
        var adapter = new Argument<string>("adapter") { Description = "Name under which it is served" };
        return cli.Command(
            "remove", "Takes an adapter away; requests under way finish on it.", ["modelops deployments adapters remove base formal"], [deployment, adapter],
            async (invocation, cancellationToken) =>
            {
                var deployments = invocation.Client.Deployments;
                await deployments.RemoveAdapterAsync(invocation.Get(deployment), invocation.Get(adapter), cancellationToken);
                var left = await deployments.ListAdaptersAsync(invocation.Get(deployment), cancellationToken);
                invocation.Write(new Page<DeployedAdapter>(left), JsonOutput.Wire.PageDeployedAdapter, screen =>
                    screen.WriteLine($"{invocation.Get(deployment)}:{invocation.Get(adapter)} is removed."));
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli)
    {
        var deployment = Deployment();
        return cli.Command(
            "list", "Lists the adapters of a deployment.", ["modelops deployments adapters list base"], [deployment],
            async (invocation, cancellationToken) =>
            {
                var adapters = await invocation.Client.Deployments.ListAdaptersAsync(invocation.Get(deployment), cancellationToken);
                invocation.Write(new Page<DeployedAdapter>(adapters), JsonOutput.Wire.PageDeployedAdapter, screen =>
                {
                    if (adapters.Count == 0)
                    {
                        screen.WriteLine($"{invocation.Get(deployment)} has no adapters. Add one: modelops deployments adapters add {invocation.Get(deployment)} NAME ARTIFACT");
                        return;
                    }
                    var table = invocation.Table("model", "artifact", "created");
                    foreach (var adapter in adapters) table.AddTextRow(adapter.Model, adapter.Artifact, Human.Time(adapter.CreatedAt));
                    screen.Write(table);
                });
                return ExitCodes.Done;
            });
    }

    private static Argument<string> Deployment() => new("deployment") { Description = "Name of the deployment" };
}
