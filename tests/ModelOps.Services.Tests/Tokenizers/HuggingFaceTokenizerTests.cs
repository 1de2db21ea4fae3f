using System.Text;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

public sealed class HuggingFaceTokenizerTests
{
    private static readonly HuggingFaceTokenizer tokenizer = Make(new BpeTrainerOptions
    {
        VocabularySize = 500,
        SpecialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        Config = new TokenizerConfig { BosToken = "<|im_start|>", EosToken = "<|im_end|>", PadToken = "<|endoftext|>" },
    });

    [Fact]
    public void Decode_OfEncodedTexts_GivesTheTextsBack() =>
        Assert.All(RandomTexts.Make(seed: 3, count: 1000), text => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text))));

    [Fact]
    public void Encode_SpecialTokensInTheText_BecomeTheirIds()
    {
        var ids = tokenizer.Encode("<|im_start|>hi<|im_end|><|im_end");

        Assert.Equal(1, ids[0]);
        Assert.Equal(1, ids.Count(id => id == 2));
        Assert.Equal("hi<|im_end", tokenizer.Decode(ids, skipSpecialTokens: true));
    }

    [Fact]
    public void Encode_HalfASurrogatePair_EncodesTheReplacementCharacter() =>
        Assert.Equal("a\uFFFDb", tokenizer.Decode(tokenizer.Encode("a\uD83Eb")));

    [Fact]
    public void Decode_HalfACharacter_GivesTheReplacementCharacter() =>
        Assert.Equal("\uFFFD", tokenizer.Decode([tokenizer.IdOf(ByteLevelAlphabet.CharacterOf(0xF0).ToString())!.Value]));

    [Theory]
    [InlineData(-1)]
    [InlineData(500)]
    public void Decode_IdOutsideTheVocabulary_Throws(int id) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([id]));

    [Fact]
    public void IdOf_KnownAndUnknownToken_IsTheIdOrNull()
    {
        Assert.Equal(2, tokenizer.IdOf(tokenizer.EosToken!));
        Assert.Null(tokenizer.IdOf("<|nothing|>"));
    }

    [Fact]
    public void Encode_IgnoreMerges_TakesAWholePieceThatMergesDoNotReach()
    {
        var definition = WithUnreachableToken(ignoreMerges: true);
        var unreachable = definition.Vocabulary["Ġzebra"];

        Assert.Equal([unreachable], new HuggingFaceTokenizer(definition, new TokenizerConfig()).Encode(" zebra"));
        Assert.DoesNotContain(unreachable, new HuggingFaceTokenizer(WithUnreachableToken(ignoreMerges: false), new TokenizerConfig()).Encode(" zebra"));
    }

    [Theory]
    [InlineData("x <t> y", 1)]
    [InlineData("<t>", 1)]
    [InlineData("  <t><t>  ", 2)]
    public void Encode_StrippingToken_TakesTheSpaceAroundItAlong(string text, int tokens)
    {
        var token = new AddedToken(500, "<t>") { LeftStrip = true, RightStrip = true };
        var stripping = new HuggingFaceTokenizer(With(token), new TokenizerConfig());

        Assert.Equal(tokens, stripping.Encode(text).Count(id => id == 500));
        Assert.Equal(text.Replace(" ", ""), stripping.Decode(stripping.Encode(text)));
    }

    [Fact]
    public void Encode_SingleWordToken_IsNotFoundInsideAWord()
    {
        var whole = new HuggingFaceTokenizer(With(new AddedToken(500, "cat") { SingleWord = true }), new TokenizerConfig());

        Assert.Contains(500, whole.Encode("a cat."));
        Assert.DoesNotContain(500, whole.Encode("a category"));
    }

    [Theory]
    [InlineData("\u2167")] // a Roman numeral
    [InlineData("\u0663")] // an Arabic digit
    public void Encode_DigitsOfOtherScripts_StandAlone(string digit)
    {
        var cutting = Make(new BpeTrainerOptions
        {
            VocabularySize = 700,
            PreTokenizer = [new PreTokenizerStep.Digits(Individual: true), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)],
        });

        Assert.Equal([.. cutting.Encode("\n\n"), .. cutting.Encode(digit), .. cutting.Encode("a")], cutting.Encode($"\n\n{digit}a"));
    }

    [Fact]
    public void Encode_OverlappingTokens_TakesTheLongest()
    {
        var definition = With(new AddedToken(500, "<t>"), new AddedToken(501, "<t><u>"));

        Assert.Equal([501, 500], new HuggingFaceTokenizer(definition, new TokenizerConfig()).Encode("<t><u><t>"));
    }

    [Theory]
    [InlineData(NormalizationForm.FormC, "e\u0301 a\u0323\u0302 \u1100\u1161\u11A8 \u212B \u0958", "\u00E9 \u1EAD \uAC01 \u00C5 \u0915\u093C")]
    [InlineData(NormalizationForm.FormD, "\u00E9 \u1EAD \uAC01 \u212B q\u0307\u0323", "e\u0301 a\u0323\u0302 \u1100\u1161\u11A8 A\u030A q\u0323\u0307")]
    public void Encode_Normalizing_EncodesTheNormalizedText(NormalizationForm form, string text, string normalized)
    {
        var normalizing = Make(new BpeTrainerOptions { VocabularySize = 300, Normalizer = [form] });

        Assert.Equal(normalized, normalizing.Decode(normalizing.Encode(text)));
    }

    private static HuggingFaceTokenizer Make(BpeTrainerOptions options)
    {
        var trained = BpeTrainer.Train([RandomTexts.Training, .. RandomTexts.Make(seed: 1, count: 200)], options);
        return new HuggingFaceTokenizer(trained.Definition, trained.Config);
    }

    private static TokenizerJson With(params AddedToken[] tokens) => new()
    {
        Vocabulary = tokenizer.Definition.Vocabulary,
        Merges = tokenizer.Definition.Merges,
        AddedTokens = tokens,
        PreTokenizer = tokenizer.Definition.PreTokenizer,
    };

    private static TokenizerJson WithUnreachableToken(bool ignoreMerges) => new()
    {
        Vocabulary = new Dictionary<string, int>(tokenizer.Definition.Vocabulary) { ["Ġzebra"] = 500 },
        Merges = tokenizer.Definition.Merges,
        AddedTokens = [],
        PreTokenizer = tokenizer.Definition.PreTokenizer,
        IgnoreMerges = ignoreMerges,
    };
}
