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
            "show", "Shows a deployment, and how its requests of the last five minutes fared.", ["modelops deployments show support"], [name],
            async (invocation, cancellationToken) =>
            {
                var deployment = await invocation.Client.Deployments.GetAsync(invocation.Get(name), cancellationToken);
                invocation.Write(deployment, JsonOutput.Wire.Deployment, _ =>
                {
                    Show(invocation, [deployment]);
                    if (deployment.Stats is { } stats) ShowStats(invocation, stats);
                });
                return ExitCodes.Done;
            });
    }

    private static void ShowStats(Invocation invocation, DeploymentStats stats)
    {
        var table = invocation.Table("last 5 minutes", "requests", "failed", "active", "first token, ms", "inter-token, ms", "tokens/s", "cached prompt");
        foreach (var model in stats.Models)
            table.AddTextRow(
                model.Model, $"{model.Requests}", $"{model.Failed}", $"{model.ActiveRequests}", Latency(model.TimeToFirstToken), Latency(model.InterTokenLatency),
                $"{model.TokensPerSecond:0.0}", model.PromptTokens == 0 ? "" : $"{model.CachedPromptTokens * 100 / model.PromptTokens} %");
        invocation.Screen.Write(table);
        invocation.Screen.WriteLine($"Slots that decode: {stats.ActiveSlots}. Requests that wait for one: {stats.Queued}. Latencies are p50 / p95.");
    }

    private static string Latency(LatencyStats? latency) => latency is null ? "" : $"{latency.P50 * 1000:0.#} / {latency.P95 * 1000:0.#}";

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
