using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Recipes;
using ModelOps.Training.Data;

namespace ModelOps.Training.Runs;

/// <summary>Rows to tokens.</summary>
internal abstract class ExampleEncoder
{
    protected ExampleEncoder(ModelFolder folder)
    {
        Tokenizer = HuggingFaceTokenizer.Load(folder.Path);
        StopTokens = Tokenizer.EosToken is { } eos && Tokenizer.IdOf(eos) is { } id ? [.. folder.EosTokenIds, id] : folder.EosTokenIds;
    }

    public HuggingFaceTokenizer Tokenizer { get; }

    /// <summary>Tokens that end an answer, or a text.</summary>
    public IReadOnlyList<int> StopTokens { get; }

    /// <summary>Between a prompt and what the model makes of it.</summary>
    public abstract string Verb { get; }

    /// <exception cref="TrainingFailedException">The model does not allow it.</exception>
    public static ExampleEncoder For(Recipe recipe, ModelFolder folder) =>
        recipe.Method == TrainingMethod.Pretrain ? new TextEncoder(folder) : new ChatEncoder(folder, recipe.TrainOn);

    /// <returns>The sequence, or null and why the row cannot be learned from.</returns>
    public abstract TrainingSequence? TryEncode(TrainingExample example, out string fault);

    /// <summary>What of a row the model can be asked to go on from.</summary>
    /// <returns>What people are shown, and what the model reads; null: nothing.</returns>
    public abstract (string Shown, int[] Tokens)? PromptOf(TrainingExample example);

    /// <summary>Makes rows of at most <paramref name="length"/> tokens of what is longer.</summary>
    public abstract EncodedRows Fit(EncodedRows rows, int length);

    /// <summary>What an answer says, without special tokens.</summary>
    public string Decode(IReadOnlyList<int> answer) => Tokenizer.Decode([.. answer], skipSpecialTokens: true).Trim();
}
