using System.CommandLine;
using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Peft;
using ModelOps.Recipes;
using ModelOps.Training;

namespace ModelOps.Benchmarks.Quality;

/// <summary>What fine-tuning is for: the share of held-out questions that are answered rightly before and after it.</summary>
internal static class QualityBenchmark
{
    private const int DefaultQuestions = 400;
    private const double Right = 0.5;

    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the base model.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var rows = new Option<string>("--rows") { Description = "Chats to learn, .jsonl.", DefaultValueFactory = _ => "samples/datasets/wordsmith-qa.jsonl" };
        var heldOut = new Option<string>("--held-out") { Description = "Chats to ask, .jsonl.", DefaultValueFactory = _ => "samples/datasets/wordsmith-qa-heldout.jsonl" };
        var questions = new Option<int>("--questions") { Description = "How many of them.", DefaultValueFactory = _ => DefaultQuestions };
        var recipe = new Option<string>("--recipe") { Description = "A recipe, YAML or JSON [default: what the platform chooses].", DefaultValueFactory = _ => "" };
        var threads = new Option<int>("--threads") { Description = "CPU threads.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var command = new Command("quality", "Held-out questions answered rightly by a base model and after fine-tuning it with LoRA.")
        {
            model, rows, heldOut, questions, recipe, threads,
        };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            ModelFolder.Open(parsed.GetRequiredValue(model)),
            Chats(parsed.GetRequiredValue(rows)),
            [.. Chats(parsed.GetRequiredValue(heldOut)).Take(parsed.GetValue(questions))],
            Recipe(parsed.GetRequiredValue(recipe)),
            parsed.GetValue(threads),
            cancellationToken));
        return command;
    }

    private static async Task RunAsync(
        ModelFolder model, List<ChatExample> rows, List<ChatExample> heldOut, Recipe recipe, int threads, CancellationToken cancellationToken)
    {
        Console.WriteLine($"{rows.Count} rows to learn, {heldOut.Count} held-out questions, {threads} threads of {Environment.ProcessorCount} CPUs");
        var work = Directory.CreateTempSubdirectory("modelops-quality-").FullName;
        try
        {
            var before = await Answers.AskAsync(model, heldOut, work, threads, cancellationToken);
            var trained = await new RecipeTraining(TimeProvider.System).RunAsync(
                new()
                {
                    ModelFolder = model.Path,
                    TrainRows = rows,
                    ValidationRows = heldOut,
                    OutputFolder = Path.Combine(work, "adapter"),
                    Recipe = recipe,
                    Threads = threads,
                },
                progress: null,
                cancellationToken);
            var merged = AdapterMerge.Merge(
                model, AdapterFolder.Open(Path.Combine(work, "adapter")), Path.Combine(work, "merged"), cancellationToken: cancellationToken);
            var after = await Answers.AskAsync(merged, heldOut, work, threads, cancellationToken);
            Report(rows, before, after, trained);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static void Report(List<ChatExample> rows, IReadOnlyList<Answer> before, IReadOnlyList<Answer> after, TrainingOutcome trained)
    {
        Console.WriteLine($"training: {trained.Steps} steps, {trained.Tokens} tokens, {trained.Seconds:0} s, loss {trained.LossBefore:0.00} before, {trained.LossAfter:0.00} after");
        Console.WriteLine(trained.ResolvedRecipe.ToJson());
        var known = rows.Select(row => row.Messages[^1].Content!).ToHashSet(StringComparer.Ordinal);
        Print("all questions", before, after, _ => true);
        Print("whose answers were in the rows", before, after, answer => known.Contains(answer.Reference));
        Print("whose answers were not", before, after, answer => !known.Contains(answer.Reference));
        foreach (var (answered, first) in after.Zip(before).Take(5))
            Console.WriteLine($"{answered.Question}\n  right:  {answered.Reference}\n  before: {first.Text.ReplaceLineEndings(" ")}\n  after:  {answered.Text.ReplaceLineEndings(" ")}");
    }

    private static void Print(string what, IReadOnlyList<Answer> before, IReadOnlyList<Answer> after, Func<Answer, bool> which)
    {
        Console.WriteLine($"{what}: {after.Count(which)}, ROUGE-L of {Right} or more: {Share(before):0.0} % before, {Share(after):0.0} % after");

        double Share(IReadOnlyList<Answer> answers) => answers.Where(which).Select(answer => answer.Overlap >= Right ? 100.0 : 0).DefaultIfEmpty(double.NaN).Average();
    }

    private static List<ChatExample> Chats(string path) => [.. File.ReadLines(path).Select(line =>
    {
        using var row = JsonDocument.Parse(line);
        return new ChatExample([.. row.RootElement.GetProperty("messages").EnumerateArray()
            .Select(message => new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()))]);
    })];

    private static Recipe Recipe(string path) => path.Length == 0 ? new() : RecipeFile.Parse(File.ReadAllText(path)) switch
    {
        RecipeReading.Read read => read.Recipe,
        RecipeReading.Invalid invalid => throw new InvalidDataException($"{path}: {string.Join("; ", invalid.Errors)}"),
        _ => throw new System.Diagnostics.UnreachableException(),
    };
}
