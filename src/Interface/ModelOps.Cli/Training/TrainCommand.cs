using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli.Datasets;
using ModelOps.Cli.Jobs;
using ModelOps.Client;

namespace ModelOps.Cli.Training;

internal static class TrainCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group("train", "Fine-tunes a model.", [Sft(cli)]);

    private static Command Sft(CommandFactory cli)
    {
        var @base = new Option<string>("--base") { Description = "Model to start from, name or name@version", HelpName = "MODEL", Required = true };
        var dataset = new Option<string>("--dataset") { Description = "Dataset, name or name@version", HelpName = "DATASET", Required = true };
        var name = new Option<string>("--name") { Description = "Name of the artifact made: an adapter, or a model with --method full", Required = true };
        var recipe = new Option<string?>("--recipe") { Description = "Recipe, YAML or JSON; other options win over what it says of the same key", HelpName = "FILE" };
        var method = new Option<string?>("--method") { Description = "What is trained: a low-rank update, the same over four-bit weights, or every weight", HelpName = "lora|qlora|full" };
        method.AcceptOnlyFromAmong("lora", "qlora", "full");
        var epochs = Count("--epochs", "Passes over the training split");
        var maxSteps = Count("--max-steps", "Optimizer steps at most");
        var rank = Count("--rank", "Rank of the LoRA matrices");
        var learningRate = new Option<double?>("--learning-rate") { Description = "Peak learning rate", HelpName = "RATE" };
        learningRate.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is not > 0)
            {
                result.AddError("--learning-rate must be greater than 0.");
            }
        });
        var batchSize = Count("--batch-size", "Packed sequences per step");
        var sequenceLength = Count("--sequence-length", "Tokens per packed sequence");
        var seed = new Option<int?>("--seed") { Description = "Seed of data order and initialization", HelpName = "N" };
        var (watch, priority) = (JobRun.WatchOption(), JobRun.PriorityOption());
        return cli.Command(
            "sft", "Supervised fine-tuning; what is not given is chosen from data, model and machine.",
            [
                "modelops train sft --base wordsmith --dataset support --name support-lora --watch",
                "modelops train sft --base wordsmith@1 --dataset support@2 --name support-lora --epochs 3 --rank 16 --seed 7",
                "modelops train sft --base wordsmith --dataset support --name support-tuned --recipe recipe.yaml --method full",
            ],
            [@base, dataset, name, recipe, method, epochs, maxSteps, rank, learningRate, batchSize, sequenceLength, seed, priority, watch],
            (invocation, cancellationToken) => JobRun.StartAsync(
                invocation,
                async client => await client.Jobs.StartTrainingAsync(
                    new CreateTraining
                    {
                        Base = invocation.Get(@base)!,
                        Dataset = invocation.Get(dataset)!,
                        Name = invocation.Get(name)!,
                        Recipe = await ReadAsync(invocation.Get(recipe), cancellationToken),
                        Method = invocation.Get(method),
                        Epochs = invocation.Get(epochs),
                        MaxSteps = invocation.Get(maxSteps),
                        Rank = invocation.Get(rank),
                        LearningRate = invocation.Get(learningRate),
                        BatchSize = invocation.Get(batchSize),
                        SequenceLength = invocation.Get(sequenceLength),
                        Seed = invocation.Get(seed),
                        Priority = JobRun.PriorityOf(invocation, priority),
                    },
                    cancellationToken),
                $"Train {invocation.Get(name)}", invocation.Get(watch), cancellationToken));
    }

    /// <summary>The text of a recipe file: the server reads it, and knows its keys.</summary>
    private static async Task<JsonElement?> ReadAsync(string? path, CancellationToken cancellationToken)
    {
        if (path is null)
        {
            return null;
        }
        DatasetsCommand.RequireFile(path);
        return JsonSerializer.SerializeToElement(await File.ReadAllTextAsync(path, cancellationToken), WireJson.Default.String);
    }

    private static Option<int?> Count(string name, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is not > 0)
            {
                result.AddError($"{name} must be greater than 0.");
            }
        });
        return option;
    }
}
