using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Training.Evaluations;
using ModelOps.Training.Plugins;

namespace ModelOps.Services.Tests.Evaluations;

public sealed class ModelEvaluationTests : IDisposable
{
    private static readonly EvaluationExample[] rows =
    [
        Row("What does the word mean?", "It means that there is a thing."),
        Row("Is it so?\nA. yes\nB. no", "B"),
        Row("Say the answer.", "42 apples, 3 pears and no more"),
    ];

    private readonly TempFolder folder = new();
    private readonly ModelFolder model;

    public ModelEvaluationTests() => model = TestModels.Write(folder["model"]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Loss_OfEachRow_IsThatOfItsAssistantTokensByTheLogits()
    {
        var scores = await EvaluateAsync(["loss", "perplexity"]);

        using var loaded = CausalLanguageModel.Load(model);
        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        foreach (var (row, score) in rows.Zip(scores))
        {
            var prompt = tokenizer.Encode($"<|im_start|>user\n{row.Prompt[0].Content}<|im_end|>\n<|im_start|>assistant\n");
            var answer = tokenizer.Encode($"{row.Reference}<|im_end|>");
            var expected = Nats(loaded, prompt, answer) / answer.Length;
            Assert.Equal(expected, score.Values["loss"].Value, 1e-4);
            Assert.Equal(answer.Length, score.Values["loss"].Weight);
            Assert.Null(score.Answer);
        }
        var report = EvaluationReport.Of(["loss", "perplexity"], scores, @base: null, seed: 1);
        Assert.Equal(Math.Exp(report.Metrics[0].Candidate.Value), report.Metrics[1].Candidate.Value, 1e-9);
        Assert.Equal(scores.Sum(score => score.Values["loss"].Value * score.Values["loss"].Weight) / scores.Sum(score => score.Values["loss"].Weight), report.Metrics[0].Candidate.Value, 1e-9);
    }

    [Fact]
    public async Task Choices_AreJudgedByTheirLikelihoods()
    {
        EvaluationExample[] pairs =
        [
            .. new[] { "There is a thing in the world, and people have a name for it", "apples", "the same" }
                .Select(text => Row("Say it.", text) with { Choices = new([text, "no more pears"], 0) }),
        ];

        var scores = await EvaluateAsync(["choice_accuracy", "choice_accuracy_norm"], pairs);

        using var loaded = CausalLanguageModel.Load(model);
        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        var prompt = tokenizer.Encode("<|im_start|>user\nSay it.<|im_end|>\n<|im_start|>assistant\n");
        foreach (var (row, score) in pairs.Zip(scores))
        {
            var costs = row.Choices!.Texts.Select(text => Nats(loaded, prompt, tokenizer.Encode(text))).ToArray();
            Assert.Equal(costs[0] < costs[1] ? 1 : 0, score.Values["choice_accuracy"].Value);
            Assert.Equal(costs[0] / row.Reference.Length < costs[1] / "no more pears".Length ? 1 : 0, score.Values["choice_accuracy_norm"].Value);
        }
        Assert.NotEqual(scores.Select(score => score.Values["choice_accuracy"]), scores.Select(score => score.Values["choice_accuracy_norm"])); // length counts
    }

    [Fact]
    public async Task Answers_AreGreedy_AndJudged()
    {
        using var loaded = CausalLanguageModel.Load(model);
        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        var prompt = tokenizer.Encode($"<|im_start|>user\n{rows[0].Prompt[0].Content}<|im_end|>\n<|im_start|>assistant\n");
        var said = tokenizer.Decode([.. loaded.Generate([prompt], new() { MaxTokens = 8, StopTokens = [2] }, Cancellation)[0].Tokens], skipSpecialTokens: true).Trim();

        var scores = await EvaluateAsync(["exact_match", "rouge_l"], [rows[0] with { Reference = said }, rows[0], rows[2]], maxTokens: 8);

        Assert.Equal([said, said], scores.Take(2).Select(score => score.Answer!));
        Assert.Equal([1, 0], scores.Take(2).Select(score => score.Values["exact_match"].Value));
        Assert.Equal(1, scores[0].Values["rouge_l"].Value);
    }

    [Fact]
    public async Task Adapter_IsEvaluatedWithItsBase_SideBySide()
    {
        var adapter = TestModels.WriteAdapter(folder["adapter"], TestModels.TinyConfig);
        var @base = await EvaluateAsync(["loss"]);
        var candidate = await EvaluateAsync(["loss"], adapter: adapter.Path);

        var report = Assert.Single(EvaluationReport.Of(["loss"], candidate, @base, seed: 1).Metrics);

        Assert.NotEqual(report.Candidate.Value, report.Base!.Value);
        Assert.Equal(report.Candidate.Value - report.Base.Value, report.Difference!.Value, 1e-9);
        Assert.InRange(report.Difference.Value, report.Difference.Low, report.Difference.High);
        Assert.Equal(3, report.Difference.Rows);
    }

    [Fact]
    public async Task Prompt_LongerThanTheModel_IsNotMeasured()
    {
        var scores = await EvaluateAsync(["loss", "exact_match"], [rows[0], Row(string.Join(' ', Enumerable.Repeat("word", 600)), "x")], maxTokens: 4);

        Assert.Equal(["loss", "exact_match"], scores[0].Values.Keys);
        Assert.Null(scores[1].Answer);
        Assert.Empty(scores[1].Values);
        Assert.Equal(1, EvaluationReport.Of(["loss"], scores, @base: null, seed: 1).Metrics[0].Candidate.Rows);
    }

    [Fact]
    public void Metrics_NotThere_AreAllNamed()
    {
        var error = Assert.Throws<EvaluationFailedException>(
            () => MetricSelection.Of(["bleu", "exact_match(x=1)", "rouge_l(", "choice_accuracy"], [rows[0]], AlgorithmRegistry.BuiltIn));

        Assert.All(
            ["no metric 'bleu'; there are exact_match, json_valid, rouge_l", "exact_match has no option x", "'rouge_l(' is not written as", "none of the rows is multiple choice"],
            part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Metrics_NoneNamed_FitTheRows()
    {
        Assert.Equal(["loss", "perplexity", "exact_match", "rouge_l"], MetricSelection.Of([], [rows[0]], AlgorithmRegistry.BuiltIn).Names);
        Assert.Equal(["loss", "perplexity", "choice_accuracy", "choice_accuracy_norm"], MetricSelection.Of([], [rows[1]], AlgorithmRegistry.BuiltIn).Names);
        Assert.Equal(6, MetricSelection.Of([], rows, AlgorithmRegistry.BuiltIn).Names.Count());
    }

    [Theory]
    [InlineData(true, "threw FormatException: no idea")]
    [InlineData(false, "gave NaN; a metric is a finite number")]
    public async Task MetricAtFault_IsNamed(bool throws, string message)
    {
        var registry = new AlgorithmRegistry();
        registry.Add(new BadMetric(throws), new("mine", new string('b', 64)));
        var options = new EvaluationOptions { Metrics = MetricSelection.Of(["bad"], rows, registry), MaxTokens = 2, Threads = 1 };

        var fault = await Assert.ThrowsAsync<PluginException>(() => ModelEvaluation.RunAsync(new(model.Path), rows, options, progress: null, Cancellation));

        Assert.Contains($"the metric bad of plugin mine (sha256 bbbbbbbbbbbb…) {message}", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_Canceled_Stops() => await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ModelEvaluation.RunAsync(
        new(model.Path), rows, new() { Metrics = MetricSelection.Of(["loss"], rows, AlgorithmRegistry.BuiltIn), Threads = 1 }, progress: null, new CancellationToken(canceled: true)));

    private Task<IReadOnlyList<RowScores>> EvaluateAsync(string[] metrics, EvaluationExample[]? examples = null, string? adapter = null, int maxTokens = 16) => ModelEvaluation.RunAsync(
        new(model.Path, adapter),
        examples ?? rows,
        new() { Metrics = MetricSelection.Of(metrics, examples ?? rows, AlgorithmRegistry.BuiltIn), MaxTokens = maxTokens, Threads = 1 },
        progress: null,
        Cancellation);

    private sealed class BadMetric(bool throws) : MetricPlugin
    {
        public override string Name => "bad";

        public override double Apply(MetricContext context) => throws ? throw new FormatException("no idea") : double.NaN;
    }

    private static double Nats(CausalLanguageModel model, int[] prompt, int[] answer)
    {
        var logits = model.Logits([.. prompt, .. answer]);
        return answer.Index().Sum(token =>
        {
            var row = Enumerable.Range(0, logits.GetLength(1)).Select(id => (double)logits[prompt.Length - 1 + token.Index, id]).ToArray();
            return Math.Log(row.Sum(Math.Exp)) - row[token.Item];
        });
    }

    private static EvaluationExample Row(string question, string answer) =>
        EvaluationExample.OfConversation("row", [new("user", question), new(ChatMessage.AssistantRole, answer)])!;
}
