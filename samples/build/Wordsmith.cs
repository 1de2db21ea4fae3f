using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Training.Pretraining;

namespace ModelOps.Samples;

/// <summary>The recipe of the bundled base model.</summary>
public static class Wordsmith
{
    public const string TurnStart = "<|im_start|>";
    public const string TurnEnd = "<|im_end|>";
    public const string TextEnd = "<|endoftext|>";

    public const int Words = 1000;
    public const int QuestionWords = 300;
    public const int Passes = 24;
    public const int Steps = 1500;
    public const int Seed = 7;
    public const int SequenceLength = 256;

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
        VocabularySize = 2048,
        SpecialTokens = [TextEnd, TurnStart, TurnEnd],
        Config = new() { BosToken = TextEnd, EosToken = TurnEnd, PadToken = TextEnd, ModelMaxLength = SequenceLength * 2, ChatTemplate = ChatTemplate },
    };

    public static PretrainingOptions Pretraining(int steps, int threads) => new()
    {
        Optimization = new() { Steps = steps, LearningRate = 3e-3, WarmupRatio = 0.03, WeightDecay = 0.01, Beta2 = 0.98 },
        BatchSize = 8,
        SequenceLength = SequenceLength,
        Seed = Seed,
        Threads = threads,
    };

    /// <summary>1.8 million parameters: 3.6 MB in bf16.</summary>
    public static ModelConfig Config(HuggingFaceTokenizer tokenizer) => new()
    {
        HiddenSize = 192,
        IntermediateSize = 448,
        LayerCount = 4,
        HeadCount = 6,
        KeyValueHeadCount = 2,
        HeadDimension = 32,
        VocabularySize = tokenizer.VocabularySize,
        MaxPositions = SequenceLength * 2,
        RmsNormEpsilon = 1e-5,
        TieWordEmbeddings = true,
        BosTokenId = tokenizer.IdOf(TextEnd),
        EosTokenIds = [tokenizer.IdOf(TurnEnd)!.Value, tokenizer.IdOf(TextEnd)!.Value],
        Dtype = Dtype.BF16,
    };
}
