using System.Text;
using System.Text.RegularExpressions;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

/// <summary>Token ids against @huggingface/tokenizers on the same files.</summary>
public sealed class TokenizerOracleTests
{
    private const string Llama3 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string Qwen2 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly Dictionary<string, PreTokenizerStep[]> preTokenizers = new()
    {
        ["gpt-2"] = [new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)],
        ["prefix-space"] = [new PreTokenizerStep.ByteLevel(AddPrefixSpace: true, UseRegex: true)],
        ["smollm"] = [new PreTokenizerStep.Digits(Individual: true), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)],
        ["llama-3"] = [new PreTokenizerStep.Split(Llama3), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: false)],
        ["qwen-2"] = [new PreTokenizerStep.Split(Qwen2), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: false)],
    };

    // Where JavaScript differs from Rust, whose tokenizers models are trained with: to \s U+FEFF is whitespace and U+0085 is not,
    // and only 0 to 9 are digits to Digits.
    private static readonly Regex disputedSpace = new(@"[\uFEFF\u0085]", RegexOptions.None, TimeSpan.FromSeconds(1));
    private static readonly Regex disputedDigit = new(@"(?![0-9])\p{N}|\uD835[\uDFCE-\uDFFF]", RegexOptions.None, TimeSpan.FromSeconds(1));

    [Theory]
    [InlineData("gpt-2", false)]
    [InlineData("prefix-space", false)]
    [InlineData("smollm", false)]
    [InlineData("llama-3", false)]
    [InlineData("qwen-2", true)]
    public async Task Encode_RandomTexts_GivesTheIdsOfTheReference(string preTokenizer, bool normalizes)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var folder = new TempFolder();
        var trained = BpeTrainer.Train([RandomTexts.Training, .. RandomTexts.Make(seed: 1, count: 200)], new BpeTrainerOptions
        {
            VocabularySize = 700,
            SpecialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            PreTokenizer = preTokenizers[preTokenizer],
            Normalizer = normalizes ? [NormalizationForm.FormC] : [],
        }, cancellation);
        trained.Save(folder.Path);
        var tokenizer = HuggingFaceTokenizer.Load(folder.Path);
        var texts = RandomTexts.Make(seed: 2, count: 2000).ConvertAll(text => disputedSpace.Replace(text, ""));
        if (preTokenizers[preTokenizer].OfType<PreTokenizerStep.Digits>().Any())
            texts = texts.ConvertAll(text => disputedDigit.Replace(text, ""));

        var expected = await NodeOracle.AskAsync("encode-texts.mjs", new { folder = folder.Path, texts }, cancellation);

        Assert.All(texts.Zip(expected.EnumerateArray()), pair =>
            Assert.Equal(pair.Second.EnumerateArray().Select(id => id.GetInt32()), tokenizer.Encode(pair.First)));
    }
}
