namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>One step of a tokenizer.json's pre-tokenizer; each step cuts the pieces of the step before it.</summary>
public abstract record PreTokenizerStep
{
    /// <summary>GPT-2's split regex, which a ByteLevel step applies itself unless it is told not to.</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private PreTokenizerStep()
    {
    }

    /// <summary>Every match of <paramref name="Pattern"/> and every stretch between matches becomes a piece.</summary>
    /// <param name="Pattern">A regex as the file has it, or the escaped form of a literal string.</param>
    public sealed record Split(string Pattern) : PreTokenizerStep;

    /// <summary>Numeric characters are cut from the rest: each its own piece, or each run of them.</summary>
    public sealed record Digits(bool Individual) : PreTokenizerStep;

    /// <param name="AddPrefixSpace">A piece that does not start with a space gets one.</param>
    /// <param name="UseRegex">Whether <see cref="Gpt2Pattern"/> cuts the pieces first.</param>
    public sealed record ByteLevel(bool AddPrefixSpace, bool UseRegex) : PreTokenizerStep;
}
