using System.Text.RegularExpressions;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Models;
using ModelOps.Training.Evaluations;

namespace ModelOps.Training.Runs;

/// <summary>What the model that is trained answers to a few prompts, for people to read: greedy, and without a trace in what is trained.</summary>
internal sealed partial class SampledAnswers
{
    private const int MaxTokens = 64;
    private const int ShownCharacters = 80;

    private readonly ExampleEncoder encoder;
    private readonly IReadOnlyList<(string Question, int[] Tokens)> prompts;
    private int? toldSteps;

    /// <summary>The first <paramref name="count"/> rows that have an answer and whose prompts the encoder and <paramref name="length"/> allow.</summary>
    /// <param name="length">Tokens per row of the run.</param>
    public SampledAnswers(ExampleEncoder encoder, IReadOnlyList<ChatExample> rows, int count, int length)
    {
        this.encoder = encoder;
        prompts = [.. rows.Select(row => Prompt(row, length)).OfType<(string, int[])>().Take(count)];
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
                progress.Report(TrainingProgress.Say(stage, ++told, prompts.Count, $"{when}: \"{prompt.Question}\" is answered \"{Text(answer)}\""));
        }
    }

    private (string, int[])? Prompt(ChatExample row, int length)
    {
        if (EvaluationExample.OfConversation("", row.Messages) is not { Prompt: { Count: > 0 } messages }) return null;
        try
        {
            return encoder.EncodePrompt(messages) is { Length: > 0 } tokens && tokens.Length < length ? (Shown(messages[^1].Content ?? ""), tokens) : null;
        }
        catch (ChatTemplateException)
        {
            return null; // such a row is not trained or measured on either
        }
    }

    private string Text(GeneratedTokens answer) => OneLine(encoder.Decode(answer.Tokens)) + (answer.Stopped ? "" : "…");

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
