using System.Text.RegularExpressions;
using ModelOps.Models;

namespace ModelOps.Training.Runs;

/// <summary>What the model that is trained answers to a few prompts, for people to read: greedy, and without a trace in what is trained.</summary>
internal sealed partial class SampledAnswers
{
    private const int MaxTokens = 64;
    private const int ShownCharacters = 80;

    private readonly ExampleEncoder encoder;
    private readonly IReadOnlyList<(string Shown, int[] Tokens)> prompts;
    private int? toldSteps;

    /// <summary>The first <paramref name="count"/> rows that have an answer and whose prompts the encoder and <paramref name="length"/> allow.</summary>
    /// <param name="length">Tokens per row of the run.</param>
    public SampledAnswers(ExampleEncoder encoder, IReadOnlyList<TrainingExample> rows, int count, int length)
    {
        this.encoder = encoder;
        prompts = [.. rows.Select(encoder.PromptOf).OfType<(string Shown, int[] Tokens)>().Where(prompt => prompt.Tokens.Length > 0 && prompt.Tokens.Length < length).Take(count)];
    }

    /// <summary>Nothing if they were told last after as many steps.</summary>
    /// <param name="stage">Of the measurement that it is a part of.</param>
    /// <param name="steps">That the model was trained for.</param>
    /// <param name="batchSize">Prompts that are answered at once.</param>
    public void Tell(CausalLanguageModel model, string stage, int steps, int batchSize, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        if (progress is null || toldSteps == steps) return;
        toldSteps = steps;
        var (when, told) = (steps == 0 ? "before training" : $"after step {steps}", 0);
        foreach (var batch in prompts.Chunk(batchSize))
        {
            var answers = model.Generate([.. batch.Select(prompt => prompt.Tokens)], new() { MaxTokens = MaxTokens, StopTokens = encoder.StopTokens }, cancellationToken);
            foreach (var (prompt, answer) in batch.Zip(answers))
            {
                var text = encoder.Decode(answer.Tokens);
                progress.Report(TrainingProgress.Say(stage, ++told, prompts.Count, $"{when}: \"{Shown(prompt.Shown)}\" {encoder.Verb} \"{OneLine(text)}{(answer.Stopped ? "" : "…")}\"") with
                {
                    Sample = new(steps, told, prompt.Shown, text, answer.Stopped),
                });
            }
        }
    }

    private static string Shown(string question)
    {
        var line = OneLine(question);
        if (line.Length <= ShownCharacters) return line;
        return line[..(char.IsHighSurrogate(line[ShownCharacters - 1]) ? ShownCharacters - 1 : ShownCharacters)] + "…";
    }

    private static string OneLine(string text) => Whitespace().Replace(text, " ").Trim();

    [GeneratedRegex(@"\s+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Whitespace();
}
