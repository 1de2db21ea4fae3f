using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Training;

namespace ModelOps.Services.Tests.Training;

/// <summary>The bundled base model and its question set are fit for what the quickstart does with them.</summary>
public class WordsmithTests
{
    private const string Asking = "Explain ";
    private const long MaximumBytes = 16_000_000;
    private static readonly string samples = FindSamples();
    private static readonly string model = Path.Combine(samples, "models", "wordsmith");

    [Fact]
    public void Model_ItsFiles_StaySmallAndNameTheLicence()
    {
        Assert.InRange(Directory.EnumerateFiles(model).Sum(file => new FileInfo(file).Length), 1, MaximumBytes);
        Assert.Contains("Princeton University", File.ReadAllText(Path.Combine(model, "LICENSE-WordNet.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void Model_StartOfADefinition_CompletesMostOfThem()
    {
        using var loaded = CausalLanguageModel.Load(ModelFolder.Open(model));
        var tokenizer = HuggingFaceTokenizer.Load(model);
        var entries = Rows("wordsmith-qa-heldout.jsonl")
            .Where(row => Question(row)!.StartsWith(Asking, StringComparison.Ordinal))
            .Take(20)
            .Select(row => $"{Question(row)![Asking.Length..^" to me.".Length]}: {Answer(row)}\n")
            .ToList();

        var completed = entries.Select(entry => Complete(loaded, tokenizer, entry[..(entry.IndexOf(':', StringComparison.Ordinal) + 1)])).ToList();

        Assert.True(entries.Intersect(completed).Count() >= 10, string.Concat(completed));
    }

    [Fact]
    public void HeldOutQuestions_EachAsksAWordThatIsKnown_AndNoneIsLearned()
    {
        var (learned, heldOut) = (Rows("wordsmith-qa.jsonl"), Rows("wordsmith-qa-heldout.jsonl"));

        Assert.Empty(learned.Select(Question).Intersect(heldOut.Select(Question)));
        Assert.Equal(heldOut.Count, heldOut.Select(Question).Distinct().Count());
        Assert.Subset(heldOut.Select(Answer).ToHashSet(), learned.Select(Answer).ToHashSet());
    }

    [Fact]
    public async Task Questions_AFewStepsOfFineTuning_LowerTheLossOnHeldOutOnes()
    {
        var (rows, heldOut) = (Rows("wordsmith-qa.jsonl"), Rows("wordsmith-qa-heldout.jsonl"));
        using var output = new TempFolder();

        var outcome = await new RecipeTraining(TimeProvider.System).RunAsync(
            new()
            {
                ModelFolder = model,
                TrainRows = rows,
                ValidationRows = heldOut[..40],
                OutputFolder = output["adapter"],
                Recipe = new() { MaxSteps = 15 },
            },
            progress: null,
            TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);

        Assert.Equal(0, outcome.TrainRows.Skipped + outcome.TrainRows.Truncated);
        Assert.True(outcome.LossAfter < outcome.LossBefore * 0.9, $"{outcome.LossBefore} → {outcome.LossAfter}");
    }

    /// <returns>The start and what follows up to the end of the line.</returns>
    private static string Complete(CausalLanguageModel model, HuggingFaceTokenizer tokenizer, string start)
    {
        List<int> tokens = [.. tokenizer.Encode(start)];
        var longest = tokens.Count + 30;
        while (tokens.Count < longest && !tokenizer.Decode(tokens.ToArray()).EndsWith('\n')) tokens.Add(MostLikely(model.Logits(tokens)));
        return tokenizer.Decode(tokens.ToArray());
    }

    private static int MostLikely(float[,] logits)
    {
        var last = logits.GetLength(0) - 1;
        return Enumerable.Range(0, logits.GetLength(1)).MaxBy(token => logits[last, token]);
    }

    private static List<ChatExample> Rows(string name) => [.. File.ReadLines(Path.Combine(samples, "datasets", name)).Select(Row)];

    private static string? Question(ChatExample row) => row.Messages[0].Content;

    private static string? Answer(ChatExample row) => row.Messages[1].Content;

    private static ChatExample Row(string line)
    {
        using var document = JsonDocument.Parse(line);
        return new([.. document.RootElement.GetProperty("messages").EnumerateArray()
            .Select(message => new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()))]);
    }

    private static string FindSamples()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "ModelOps.slnx"))) return Path.Combine(folder.FullName, "samples");
        throw new DirectoryNotFoundException($"no folder above {AppContext.BaseDirectory} holds ModelOps.slnx");
    }
}
