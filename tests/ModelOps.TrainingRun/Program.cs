using System.Globalization;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Recipes;
using ModelOps.Training;
using TorchSharp;

// BASE OUTPUT CHECKPOINTS RECIPE [memory]: fine-tunes BASE on a few fixed rows until it is done or killed; says each step and its loss once it is done,
// or with `memory` each step, the process's resident bytes and the live tensors.
var recipe = (RecipeFile.Parse(args[3]) as RecipeReading.Read)!.Recipe;
var rows = Enumerable.Range(0, 40).Select(row => new ChatExample([
    new ChatMessage("user", $"What does {row % 8} mean?"),
    new ChatMessage(ChatMessage.AssistantRole, $"It means that there are {row} things in the world.")])).ToList();
await new RecipeTraining(TimeProvider.System).RunAsync(
    new TrainingRequest
    {
        ModelFolder = args[0],
        TrainRows = rows[8..],
        ValidationRows = rows[..8],
        OutputFolder = args[1],
        CheckpointFolder = args[2],
        BaseModelName = "tiny",
        Recipe = recipe,
        Threads = 1,
    },
    args is [_, _, _, _, "memory"] ? new Memory() : new Losses(),
    CancellationToken.None);

internal sealed class Losses : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value)
    {
        if (value.Metrics.TryGetValue(TrainingMetrics.Loss, out var loss)) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{value.Stage} {value.Step} {loss:R}"));
    }
}

internal sealed class Memory : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value)
    {
        if (value is { Stage: TrainingStages.Train, Message: null })
            Console.WriteLine($"{value.Step} {Environment.WorkingSet} {DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount}");
    }
}
