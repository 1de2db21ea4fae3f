using System.CommandLine;
using ModelOps.Cli.Jobs;
using ModelOps.Client;

namespace ModelOps.Cli.Training;

internal static class EvalCommand
{
    public static Command Create(CommandFactory cli)
    {
        var artifact = new Argument<string>("artifact") { Description = "Model or adapter, name or name@version; an adapter is evaluated with its base" };
        var dataset = new Option<string>("--dataset") { Description = "Dataset, name or name@version", HelpName = "DATASET", Required = true };
        var split = new Option<string>("--split") { Description = "Split of the dataset", HelpName = "SPLIT", DefaultValueFactory = _ => "test" };
        split.AcceptOnlyFromAmong("train", "validation", "test");
        var against = new Option<string>("--against") { Description = "Model or adapter to compare with; without it the base of an adapter", HelpName = "ARTIFACT" };
        var metrics = new Option<string[]>("--metrics")
        {
            Description = "Metrics, such as loss, perplexity, exact_match, rouge_l, json_valid, choice_accuracy, or a plugin's; without it those that fit the rows",
            HelpName = "NAME",
            AllowMultipleArgumentsPerToken = true,
        };
        var rows = TrainFlags.Count("--rows", "Rows at most, from the first on");
        var maxTokens = TrainFlags.Count("--max-tokens", "Tokens of an answer at most (256)");
        var seed = new Option<int>("--seed") { Description = "Seed of the bootstrap", HelpName = "N" };
        var name = new Option<string>("--name") { Description = "Name of the evaluation made; without it ARTIFACT-eval" };
        var (watch, priority) = (JobRun.WatchOption(), JobRun.PriorityOption());
        return cli.Command(
            "eval", "Measures a model or an adapter on a dataset, beside its base.",
            [
                "modelops eval support-lora --dataset support --watch",
                "modelops eval support-lora@2 --dataset support@3 --split validation --against support-lora@1 --metrics loss exact_match --rows 200",
            ],
            [artifact, dataset, split, against, metrics, rows, maxTokens, seed, name, priority, watch],
            (invocation, cancellationToken) => JobRun.StartAsync(
                invocation,
                client => client.Jobs.StartEvaluationAsync(
                    new CreateEvaluation
                    {
                        Artifact = invocation.Get(artifact)!,
                        Dataset = invocation.Get(dataset)!,
                        Split = invocation.Get(split)!,
                        Against = invocation.Get(against),
                        Metrics = invocation.Get(metrics) ?? [],
                        Rows = invocation.Get(rows),
                        MaxTokens = invocation.Get(maxTokens),
                        Seed = invocation.Get(seed),
                        Name = invocation.Get(name),
                        Priority = JobRun.PriorityOf(invocation, priority),
                    },
                    cancellationToken),
                $"Evaluate {invocation.Get(artifact)}", invocation.Get(watch), cancellationToken));
    }
}
