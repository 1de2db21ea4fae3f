using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli.Jobs;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Training;

internal static class QuantizeCommand
{
    public static Command Create(CommandFactory cli)
    {
        var artifact = new Argument<string>("artifact") { Description = "Model, adapter or unquantized gguf, name or name@version; an adapter is merged into its base" };
        var types = new Option<string[]>("--type")
        {
            Description = "Type of the weights, such as Q8_0, Q4_K_M or F16; may be repeated, or several with commas: an artifact is made of each",
            HelpName = "TYPE",
            DefaultValueFactory = _ => ["Q8_0"],
        };
        var name = new Option<string>("--name") { Description = "Name of the gguf artifact made; of several types each has its own behind it", Required = true };
        var dataset = new Option<string>("--dataset") { Description = "Dataset on whose validation rows it is compared with its source; without it the one that an adapter was trained on", HelpName = "DATASET" };
        var rows = TrainFlags.Count("--rows", "Rows to compare on (64)");
        var importance = new Option<string>("--imatrix") { Description = "Dataset from whose training rows an importance matrix is computed", HelpName = "DATASET" };
        var importanceRows = TrainFlags.Count("--imatrix-rows", "Rows to compute it from (256)");
        var plot = new Option<FileInfo>("--plot") { Description = "SVG file to draw size and quality into, with --watch", HelpName = "FILE" };
        var (watch, priority) = (JobRun.WatchOption(), JobRun.PriorityOption());
        var command = cli.Command(
            "quantize", "Makes quantized GGUF files that can be deployed, and compares them with the original.",
            [
                "modelops quantize support-lora --type Q8_0 --name support-q8-0 --watch",
                "modelops quantize support-lora --type Q8_0,Q4_K_M,IQ4_XS --name support --imatrix support --watch --plot support.svg",
            ],
            [artifact, types, name, dataset, rows, importance, importanceRows, plot, priority, watch],
            async (invocation, cancellationToken) =>
            {
                var code = await JobRun.StartAsync(
                    invocation,
                    client => client.Jobs.StartQuantizationAsync(
                        new CreateQuantization
                        {
                            Artifact = invocation.Get(artifact),
                            Types = TypesOf(invocation.Get(types)!),
                            Name = invocation.Get(name)!,
                            Dataset = invocation.Get(dataset),
                            Rows = invocation.Get(rows),
                            Importance = invocation.Get(importance),
                            ImportanceRows = invocation.Get(importanceRows),
                            Priority = JobRun.PriorityOf(invocation, priority),
                        },
                        cancellationToken),
                    $"Quantize {invocation.Get(artifact)}", invocation.Get(watch), cancellationToken,
                    job => Draw(job, invocation.Get(plot)));
                return code;
            });
        command.Validators.Add(result =>
        {
            if (result.GetValue(plot) is not null && !result.GetValue(watch)) result.AddError("--plot needs --watch: there is nothing to draw before the job ends.");
        });
        return command;
    }

    private static IReadOnlyList<string> TypesOf(string[] given) =>
        [.. given.SelectMany(types => types.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    private static void Draw(Job job, FileInfo? plot)
    {
        if (plot is null || job.Result is not { } result) return;
        File.WriteAllText(plot.FullName, QuantizationPlot.Svg(result.Deserialize(WireJson.Default.QuantizationResult)!.Artifacts));
    }
}
