using System.Text;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Peft;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Data;
using ModelOps.Training.Plugins;
using ModelOps.Training.Runs;
using static TorchSharp.torch;

namespace ModelOps.Training.Evaluations;

/// <summary>What is evaluated.</summary>
/// <param name="ModelFolder">In Hugging Face layout, with a chat template.</param>
/// <param name="AdapterFolder">In PEFT layout, for that model; null: the model itself.</param>
public sealed record EvaluationSubject(string ModelFolder, string? AdapterFolder = null);

public sealed record EvaluationOptions
{
    public const int DefaultMaxTokens = 256;

    public required MetricSelection Metrics { get; init; }

    /// <summary>Tokens that an answer has at most.</summary>
    public int MaxTokens { get; init; } = DefaultMaxTokens;

    /// <summary>CPU threads; they are set for the whole process.</summary>
    public required int Threads { get; init; }
}

/// <summary>What a model did with a row.</summary>
/// <param name="Answer">Null where no metric asks for one, or the prompt is longer than the model's positions.</param>
/// <param name="Values">By metric; a metric that has nothing to measure in the row is not there.</param>
public sealed record RowScores(string? Answer, IReadOnlyDictionary<string, RowValue> Values);

/// <summary>Measures a model on rows: the likelihood of their answers, and its own answers, which are greedy.</summary>
public static class ModelEvaluation
{
    /// <summary>Padded tokens that are computed at once.</summary>
    private const int BatchTokens = 4096;

    /// <returns>In the order of the rows.</returns>
    /// <exception cref="EvaluationFailedException">The model has no chat template.</exception>
    /// <exception cref="PluginException">A metric threw, or gave no finite number.</exception>
    /// <exception cref="InvalidModelFileException">Model or adapter is incomplete or broken, or they do not fit.</exception>
    /// <exception cref="OperationCanceledException">Between two batches or tokens.</exception>
    public static Task<IReadOnlyList<RowScores>> RunAsync(
        EvaluationSubject subject, IReadOnlyList<EvaluationExample> rows, EvaluationOptions options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(
            () => Run(subject, rows, options, progress, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static IReadOnlyList<RowScores> Run(
        EvaluationSubject subject, IReadOnlyList<EvaluationExample> rows, EvaluationOptions options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        var folder = ModelFolder.Open(subject.ModelFolder);
        var encoder = Encoder(folder);
        TorchNatives.Load();
        set_num_threads(options.Threads);
        using var model = CausalLanguageModel.Load(folder);
        if (subject.AdapterFolder is { } adapter) model.LoadAdapter(AdapterFolder.Open(adapter));

        var values = rows.Select(_ => new Dictionary<string, RowValue>()).ToArray();
        var run = new Pass(model, encoder, rows, options, progress, cancellationToken);
        if (options.Metrics.NeedsLoss) run.MeasureLoss(values);
        if (options.Metrics.NeedsChoices) run.MeasureChoices(values);
        var answers = options.Metrics.NeedsAnswers ? run.Answer() : new string?[rows.Count];
        if (options.Metrics.NeedsAnswers) Judge(rows, answers, options.Metrics.Judges, values);
        return [.. rows.Select((_, row) => new RowScores(answers[row], values[row]))];
    }

    private static ChatEncoder Encoder(ModelFolder folder)
    {
        try
        {
            return new ChatEncoder(folder, LearnedTokens.Assistant);
        }
        catch (TrainingFailedException fault)
        {
            throw new EvaluationFailedException(fault.Message, fault);
        }
    }

    private static void Judge(
        IReadOnlyList<EvaluationExample> rows, string?[] answers, IReadOnlyDictionary<string, ChosenAlgorithm<MetricPlugin>> judges, Dictionary<string, RowValue>[] values)
    {
        foreach (var (name, judge) in judges)
            for (var row = 0; row < rows.Count; row++)
                if (answers[row] is { } answer)
                    values[row][name] = new(PluginCall.Metric(judge, new(rows[row].Prompt, rows[row].Reference, answer, judge.Options)));
    }

    /// <summary>One model over all rows.</summary>
    private sealed class Pass(
        CausalLanguageModel model,
        ChatEncoder encoder,
        IReadOnlyList<EvaluationExample> rows,
        EvaluationOptions options,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        private int Positions => model.Config.MaxPositions;

        /// <summary>Of what the assistant says in a whole row, cut to the model's positions.</summary>
        public void MeasureLoss(Dictionary<string, RowValue>[] values)
        {
            List<(int Row, TrainingSequence Sequence)> sequences = [];
            for (var row = 0; row < rows.Count; row++)
            {
                var whole = new ChatExample([.. rows[row].Prompt, new(ChatMessage.AssistantRole, rows[row].Reference)]);
                if (encoder.TryEncode(whole, out _)?.Truncate(Positions) is { LearnedCount: > 0 } sequence) sequences.Add((row, sequence));
            }
            var nats = Nats([.. sequences.Select(item => item.Sequence)], EvaluationStages.Loss);
            foreach (var (index, (row, sequence)) in sequences.Index())
            {
                var loss = new RowValue(nats[index] / sequence.LearnedCount, sequence.LearnedCount);
                foreach (var metric in options.Metrics.Likelihood.Where(LikelihoodMetrics.Costs.Contains)) values[row][metric] = loss;
            }
        }

        /// <summary>Of each choice behind the prompt, without the token that ends an answer.</summary>
        public void MeasureChoices(Dictionary<string, RowValue>[] values)
        {
            List<(int Row, TrainingSequence[] Choices)> found = [];
            for (var row = 0; row < rows.Count; row++)
                if (rows[row].Choices is { } choices && TryPrompt(rows[row]) is { } prompt
                    && choices.Texts.Select(text => Continued(prompt, text)).ToArray() is var sequences
                    && sequences.All(sequence => sequence.LearnedCount > 0 && sequence.Length <= Positions))
                    found.Add((row, sequences));
            var nats = Nats([.. found.SelectMany(item => item.Choices)], EvaluationStages.Choices);
            var at = 0;
            foreach (var (row, sequences) in found)
            {
                var (texts, correct) = rows[row].Choices!;
                var costs = nats.AsSpan(at, sequences.Length).ToArray();
                at += sequences.Length;
                if (options.Metrics.Likelihood.Contains(LikelihoodMetrics.ChoiceAccuracy))
                    values[row][LikelihoodMetrics.ChoiceAccuracy] = new(Least(costs) == correct ? 1 : 0);
                if (options.Metrics.Likelihood.Contains(LikelihoodMetrics.ChoiceAccuracyNormalized))
                    values[row][LikelihoodMetrics.ChoiceAccuracyNormalized] =
                        new(Least([.. costs.Zip(texts, (cost, text) => cost / Encoding.UTF8.GetByteCount(text))]) == correct ? 1 : 0);
            }
        }

        public string?[] Answer()
        {
            var prompts = rows.Select(TryPrompt).ToArray();
            var able = Enumerable.Range(0, rows.Count).Where(row => prompts[row] is { } prompt && prompt.Length < Positions).OrderBy(row => prompts[row]!.Length).ToList();
            var answers = new string?[rows.Count];
            var done = 0;
            foreach (var batch in Batches(able, row => prompts[row]!.Length + options.MaxTokens))
            {
                var generated = model.Generate([.. batch.Select(row => prompts[row]!)], new() { MaxTokens = options.MaxTokens, StopTokens = encoder.StopTokens }, cancellationToken);
                foreach (var (row, tokens) in batch.Zip(generated)) answers[row] = encoder.Decode(tokens.Tokens);
                Report(EvaluationStages.Answers, done += batch.Count, able.Count);
            }
            return answers;
        }

        /// <summary>Of the learned tokens of each sequence.</summary>
        private double[] Nats(IReadOnlyList<TrainingSequence> sequences, string stage)
        {
            var nats = new double[sequences.Count];
            var order = Enumerable.Range(0, sequences.Count).OrderBy(index => sequences[index].Length).ToList();
            var done = 0;
            foreach (var indexes in Batches(order, index => sequences[index].Length))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                using var batch = new PackedBatch([.. indexes.Select(index => new PackedRow([sequences[index]]))], model.Device);
                var losses = batch.TokenLosses(model).AsSpan();
                foreach (var index in indexes)
                {
                    var own = losses[..sequences[index].LearnedCount];
                    losses = losses[own.Length..];
                    foreach (var loss in own) nats[index] += loss;
                }
                Report(stage, done += indexes.Count, order.Count);
            }
            return nats;
        }

        private int[]? TryPrompt(EvaluationExample row)
        {
            try
            {
                return encoder.EncodePrompt(row.Prompt) is { Length: > 0 } prompt ? prompt : null;
            }
            catch (ChatTemplateException)
            {
                return null; // the row is not measured, and counted as such
            }
        }

        private TrainingSequence Continued(int[] prompt, string text)
        {
            var answer = encoder.Tokenizer.Encode(text);
            return new([.. prompt, .. answer], [.. Enumerable.Repeat(false, prompt.Length), .. Enumerable.Repeat(true, answer.Length)]);
        }

        private void Report(string stage, int done, int total) => progress?.Report(new(stage, done, total, new Dictionary<string, double>()));
    }

    /// <summary>Neighbours, as many as fit in a batch when each is padded to the longest; at least one.</summary>
    /// <param name="ordered">The shortest first.</param>
    private static IEnumerable<IReadOnlyList<int>> Batches(IReadOnlyList<int> ordered, Func<int, int> length)
    {
        List<int> batch = [];
        foreach (var item in ordered)
        {
            if (batch.Count > 0 && (batch.Count + 1) * length(item) > BatchTokens)
            {
                yield return batch;
                batch = [];
            }
            batch.Add(item);
        }
        if (batch.Count > 0) yield return batch;
    }

    private static int Least(double[] costs) => Array.IndexOf(costs, costs.Min());
}

public static class EvaluationStages
{
    public const string Loss = "loss";
    public const string Choices = "choices";
    public const string Answers = "answers";
}
