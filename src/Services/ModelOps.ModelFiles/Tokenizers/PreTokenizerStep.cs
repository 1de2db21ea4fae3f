namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>What becomes of the matches of a <see cref="PreTokenizerStep.Split"/>.</summary>
public enum SplitBehavior
{
    /// <summary>Each is a piece of its own.</summary>
    Isolated,

    /// <summary>Each ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>Each begins the piece after it.</summary>
    MergedWithNext,
}

/// <summary>When a <see cref="PreTokenizerStep.Metaspace"/> step puts its replacement before a piece that does not start with it.</summary>
public enum PrependScheme
{
    Never,

    /// <summary>At the beginning of the whole text, unless an added token stands there.</summary>
    First,

    Always,
}

/// <summary>One step of a tokenizer.json's pre-tokenizer; each step cuts the pieces of the step before it.</summary>
public abstract record PreTokenizerStep
{
    /// <summary>GPT-2's split regex, which a ByteLevel step applies itself unless it is told not to.</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private PreTokenizerStep()
    {
    }

    /// <summary>Cuts at every match of <paramref name="Pattern"/>.</summary>
    /// <param name="Pattern">A regex as the file has it, or the escaped form of a literal string.</param>
    public sealed record Split(string Pattern, SplitBehavior Behavior = SplitBehavior.Isolated) : PreTokenizerStep;

    /// <summary>Numeric characters are cut from the rest: each its own piece, or each run of them.</summary>
    public sealed record Digits(bool Individual) : PreTokenizerStep;

    /// <param name="AddPrefixSpace">A piece that does not start with a space gets one.</param>
    /// <param name="UseRegex">Whether <see cref="Gpt2Pattern"/> cuts the pieces first.</param>
    public sealed record ByteLevel(bool AddPrefixSpace, bool UseRegex) : PreTokenizerStep;

    /// <summary>Spaces become U+2581, as SentencePiece has it.</summary>
    /// <param name="Cuts">Whether each U+2581 then begins a piece.</param>
    public sealed record Metaspace(PrependScheme Prepend, bool Cuts) : PreTokenizerStep;
}
