using System.CommandLine;
using ModelOps.Cli.Jobs;

namespace ModelOps.Cli.Training;

internal static class TrainCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group("train", "Fine-tunes or pretrains a model.", [Sft(cli), Pretrain(cli)]);

    private static Command Sft(CommandFactory cli)
    {
        var method = new Option<string?>("--method") { Description = "What is trained: a low-rank update, the same over four-bit weights, or every weight", HelpName = "lora|qlora|full" };
        method.AcceptOnlyFromAmong("lora", "qlora", "full");
        var rank = TrainFlags.Count("--rank", "Rank of the LoRA matrices");
        var flags = new TrainFlags("Name of the artifact made: an adapter, or a model with --method full");
        return Command(
            cli, "sft", "Supervised fine-tuning; what is not given is chosen from data, model and machine.",
            [
                "modelops train sft --base wordsmith --dataset support --name support-lora --watch",
                "modelops train sft --base wordsmith@1 --dataset support@2 --name support-lora --epochs 3 --rank 16 --seed 7",
                "modelops train sft --base wordsmith --dataset support --name support-tuned --recipe recipe.yaml --method full --plan",
            ],
            flags, [method, rank],
            invocation => new() { Method = invocation.Get(method), Rank = invocation.Get(rank) });
    }

    private static Command Pretrain(CommandFactory cli)
    {
        var initialization = new Option<string?>("--initialization") { Description = "Where it begins: with the base's weights, or with random ones of its shape", HelpName = "base|random" };
        initialization.AcceptOnlyFromAmong("base", "random");
        var flags = new TrainFlags("Name of the model made");
        return Command(
            cli, "pretrain", "Trains every weight of a model on a dataset of texts.",
            [
                "modelops train pretrain --base wordsmith --dataset manuals --name wordsmith-manuals --watch",
                "modelops train pretrain --base wordsmith --dataset corpus --name fresh --initialization random --epochs 3 --seed 7",
            ],
            flags, [initialization],
            invocation => new() { Method = "pretrain", Initialization = invocation.Get(initialization) });
    }

    private static Command Command(
        CommandFactory cli, string name, string description, string[] examples, TrainFlags flags, IReadOnlyList<Option> own, Func<Invocation, MethodFlags> ownOf)
    {
        var (watch, priority) = (JobRun.WatchOption(), JobRun.PriorityOption());
        var plan = new Option<bool>("--plan") { Description = "Say what it would do and take, and train nothing" };
        return cli.Command(
            name, description, examples, [.. flags.First, .. own, .. flags.Rest, priority, watch, plan],
            async (invocation, cancellationToken) =>
            {
                var create = await flags.ReadAsync(invocation, ownOf(invocation), cancellationToken);
                create.Priority = JobRun.PriorityOf(invocation, priority);
                return invocation.Get(plan)
                    ? await JobRun.StartAsync(invocation, client => client.Jobs.PlanTrainingAsync(create, cancellationToken), $"Plan {create.Name}", watch: true, cancellationToken)
                    : await JobRun.StartAsync(
                        invocation, client => client.Jobs.StartTrainingAsync(create, cancellationToken), $"Train {create.Name}", invocation.Get(watch), cancellationToken);
            });
    }
}
