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
    private const long MaximumBytes = 4_000_000;
    private static readonly string samples = FindSamples();
    private static readonly string model = Path.Combine(samples, "models", "wordsmith");

    [Fact]
    public void Model_ItsFiles_StaySmallAndNameTheLicence()
    {
        Assert.InRange(Directory.EnumerateFiles(model).Sum(file => new FileInfo(file).Length), 1, MaximumBytes);
        Assert.Contains("Princeton University", File.ReadAllText(Path.Combine(model, "LICENSE-WordNet.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void Model_StartOfADefinition_CompletesIt()
    {
        using var loaded = CausalLanguageModel.Load(ModelFolder.Open(model));
        var tokenizer = HuggingFaceTokenizer.Load(model);
        List<int> tokens = [.. tokenizer.Encode("year:")];
        var prompt = tokens.Count;

        while (tokens.Count < prompt + 30 && !tokenizer.Decode(tokens.ToArray()).EndsWith('\n')) tokens.Add(MostLikely(loaded.Logits(tokens)));

        Assert.Equal(" a period of time containing 365 days\n", tokenizer.Decode(tokens.Skip(prompt).ToArray()));
    }

    [Fact]
    public async Task Questions_AFewStepsOfFineTuning_LowerTheLoss()
    {
        var rows = File.ReadLines(Path.Combine(samples, "datasets", "wordsmith-qa.jsonl")).Select(Row).ToList();
        using var output = new TempFolder();

        var outcome = await new SftTraining(TimeProvider.System).RunAsync(
            new()
            {
                ModelFolder = model,
                TrainRows = rows[40..],
                ValidationRows = rows[..40],
                OutputFolder = output["adapter"],
                Recipe = new() { MaxSteps = 15 },
            },
            progress: null,
            TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);

        Assert.Equal(0, outcome.TrainRows.Skipped + outcome.TrainRows.Truncated);
        Assert.True(outcome.LossAfter < outcome.LossBefore * 0.9, $"{outcome.LossBefore} → {outcome.LossAfter}");
    }

    private static int MostLikely(float[,] logits)
    {
        var last = logits.GetLength(0) - 1;
        return Enumerable.Range(0, logits.GetLength(1)).MaxBy(token => logits[last, token]);
    }

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
