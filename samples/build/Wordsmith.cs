using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Samples;

/// <summary>What the bundled base model is made of. How it is trained, wordsmith.yaml says.</summary>
public static class Wordsmith
{
    public const string TurnStart = "<|im_start|>";
    public const string TurnEnd = "<|im_end|>";
    public const string TextEnd = "<|endoftext|>";

    /// <summary>The most used words whose definitions are learned by heart.</summary>
    public const int Words = 1000;

    /// <summary>Of these, words that the question set asks for: the knowledge of the others has to come from the base.</summary>
    public const int QuestionWords = 500;

    /// <summary>The most used words whose definitions and examples the tokenizer learns from: English at large.</summary>
    public const int TokenizerWords = 10_000;

    /// <summary>How often a definition is met, each time in another form and among others: about a hundred times is what a fact takes to stay (Allen-Zhu and Li 2024, Part 3.3).</summary>
    public const int Passes = 100;

    public const int Seed = 7;
    public const int Positions = 512;

    /// <summary>ChatML; the generation block marks what the assistant wrote, which is what fine-tuning learns.</summary>
    private const string ChatTemplate =
        "{% for message in messages %}"
        + "{{ '<|im_start|>' + message['role'] + '\\n' }}"
        + "{% if message['role'] == 'assistant' %}"
        + "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
        + "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}"
        + "{{ '\\n' }}"
        + "{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    public static BpeTrainerOptions Tokenizer { get; } = new()
    {
        VocabularySize = 4096,
        SpecialTokens = [TextEnd, TurnStart, TurnEnd],
        Config = new() { BosToken = TextEnd, EosToken = TurnEnd, PadToken = TextEnd, ModelMaxLength = Positions, ChatTemplate = ChatTemplate },
    };

    /// <summary>3.7 million parameters: 7.3 MB in bf16.</summary>
    public static ModelConfig Config(HuggingFaceTokenizer tokenizer) => new()
    {
        HiddenSize = 256,
        IntermediateSize = 640,
        LayerCount = 4,
        HeadCount = 8,
        KeyValueHeadCount = 2,
        HeadDimension = 32,
        VocabularySize = tokenizer.VocabularySize,
        MaxPositions = Positions,
        RmsNormEpsilon = 1e-5,
        TieWordEmbeddings = true,
        BosTokenId = tokenizer.IdOf(TextEnd),
        EosTokenIds = [tokenizer.IdOf(TurnEnd)!.Value, tokenizer.IdOf(TextEnd)!.Value],
        Dtype = Dtype.BF16,
    };
}
