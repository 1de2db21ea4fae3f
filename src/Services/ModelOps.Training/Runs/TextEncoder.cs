using ModelOps.ModelFiles;
using ModelOps.Training.Data;

namespace ModelOps.Training.Runs;

/// <summary>Texts to tokens: with what the tokenizer puts around a text, and a token that ends it.</summary>
internal sealed class TextEncoder : ExampleEncoder
{
    /// <summary>Tokens of a text that the model is shown when it is asked to go on: half of it, at most so many.</summary>
    private const int PromptTokens = 16;

    private readonly IReadOnlyList<int> before;
    private readonly IReadOnlyList<int> after;
    private readonly int? end;

    public TextEncoder(ModelFolder folder)
        : base(folder)
    {
        before = [.. Tokenizer.Definition.TokensBefore.Select(token => Tokenizer.IdOf(token)).OfType<int>()];
        after = [.. Tokenizer.Definition.TokensAfter.Select(token => Tokenizer.IdOf(token)).OfType<int>()];
        end = StopTokens.Count > 0 ? StopTokens[^1] : null;
    }

    public override string Verb => "goes on";

    public override TrainingSequence? TryEncode(TrainingExample example, out string fault)
    {
        fault = example is TextExample ? "there is nothing in it" : "it is a conversation, and this method learns from texts";
        if (example is not TextExample { Text.Length: > 0 } text) return null;
        int[] tokens = [.. before, .. Tokenizer.Encode(text.Text), .. after];
        var sequence = TrainingSequence.OfText(end is { } last && !StopTokens.Contains(tokens[^1]) ? [.. tokens, last] : tokens);
        return sequence.LearnedCount > 0 ? sequence : null;
    }

    public override (string Shown, int[] Tokens)? PromptOf(TrainingExample example)
    {
        if (example is not TextExample text) return null;
        var tokens = Tokenizer.Encode(text.Text);
        int[] prompt = [.. before, .. tokens.Take(Math.Min(PromptTokens, tokens.Length / 2))];
        return prompt.Length > 0 ? (Decode(prompt), prompt) : null;
    }

    /// <summary>Split: every token of a text is learned.</summary>
    public override EncodedRows Fit(EncodedRows rows, int length) => rows.Split(length);
}
