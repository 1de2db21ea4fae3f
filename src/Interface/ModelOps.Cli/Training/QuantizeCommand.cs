using System.CommandLine;
using ModelOps.Cli.Jobs;
using ModelOps.Client;

namespace ModelOps.Cli.Training;

internal static class QuantizeCommand
{
    public static Command Create(CommandFactory cli)
    {
        var artifact = new Argument<string>("artifact") { Description = "Model or adapter, name or name@version; an adapter is merged into its base" };
        var type = new Option<string>("--type") { Description = "Type of the weights", HelpName = "TYPE", DefaultValueFactory = _ => "Q8_0" };
        var name = new Option<string>("--name") { Description = "Name of the gguf artifact made", Required = true };
        var (watch, priority) = (JobRun.WatchOption(), JobRun.PriorityOption());
        return cli.Command(
            "quantize", "Makes a quantized GGUF file that can be deployed, and compares it with the original.",
            ["modelops quantize support-lora --type Q8_0 --name support-q8-0 --watch"], [artifact, type, name, priority, watch],
            (invocation, cancellationToken) => JobRun.StartAsync(
                invocation,
                client => client.Jobs.StartQuantizationAsync(
                    new CreateQuantization
                    {
                        Artifact = invocation.Get(artifact),
                        Type = invocation.Get(type)!,
                        Name = invocation.Get(name)!,
                        Priority = JobRun.PriorityOf(invocation, priority),
                    },
                    cancellationToken),
                $"Quantize {invocation.Get(artifact)}", invocation.Get(watch), cancellationToken));
    }
}
