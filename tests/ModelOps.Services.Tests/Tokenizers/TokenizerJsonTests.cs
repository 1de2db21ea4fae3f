using System.Text;
using System.Text.Json.Nodes;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

public sealed class TokenizerJsonTests
{
    private static readonly byte[] valid = MakeValid();

    [Fact]
    public void Save_ThenLoad_GivesTheSameTokenizer()
    {
        using var folder = new TempFolder();
        var original = Parse(valid);
        original.Save(folder["copy.json"]);
        var copy = TokenizerJson.Load(folder["copy.json"]);

        Assert.Equal(original.Vocabulary, copy.Vocabulary);
        Assert.Equal(original.Merges, copy.Merges);
        Assert.Equal(original.AddedTokens, copy.AddedTokens);
        Assert.Equal(original.PreTokenizer, copy.PreTokenizer);
        Assert.Equal(original.Normalizer, copy.Normalizer);
        Assert.Equal(original.TokensBefore, copy.TokensBefore);
        Assert.Equal(original.Tokens, copy.Tokens);
    }

    [Fact]
    public void Tokens_IdWithoutAToken_IsNamedAndUnused()
    {
        var tokenizer = Parse(Edited(root => root["added_tokens"]!.AsArray().Add(Added(310, "<late>", special: false))));

        Assert.Equal(311, tokenizer.VocabularySize);
        Assert.Equal(new VocabularyToken("[PAD309]", TokenKind.Unused), tokenizer.Tokens[309]);
        Assert.Equal(new VocabularyToken("<late>", TokenKind.UserDefined), tokenizer.Tokens[310]);
    }

    [Fact]
    public void Parse_MergesAsStrings_ReadsThemAsWell()
    {
        var tokenizer = Parse(Edited(root =>
        {
            var merges = root["model"]!["merges"]!.AsArray();
            root["model"]!["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create($"{merge![0]} {merge[1]}"))]);
        }));

        Assert.Equal(Parse(valid).Merges, tokenizer.Merges);
    }

    [Fact]
    public void Parse_UnsupportedParts_NamesAllOfThem()
    {
        var bytes = Edited(root =>
        {
            root["model"]!["type"] = "Unigram";
            root["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
            root["pre_tokenizer"] = new JsonObject { ["type"] = "Metaspace", ["replacement"] = "_", ["prepend_scheme"] = "last" };
            root["decoder"] = new JsonObject { ["type"] = "WordPiece" };
        });

        var exception = Assert.Throws<NotSupportedException>(() => Parse(bytes));

        Assert.All(["tokenizer.json", "Unigram", "Lowercase", "replacement '_'", "prepend_scheme 'last'", "WordPiece"], part => Assert.Contains(part, exception.Message));
    }

    [Fact]
    public void Parse_MalformedParts_NamesAllOfThem()
    {
        var bytes = Edited(root =>
        {
            root["model"]!["vocab"]!["first"] = -1;
            root["model"]!["vocab"]!["second"] = 0;
            root["model"]!["merges"]!.AsArray().Add("no-such-pair");
            root["model"]!["merges"]!.AsArray().Add(new JsonArray("no", "such"));
            root["added_tokens"]!.AsArray().Add(Added(5, "<taken>", special: true));
        });

        var exception = Assert.Throws<InvalidDataException>(() => Parse(bytes));

        Assert.All(["tokenizer.json", "'first'", "'second'", "\"left right\"", "'no'", "<taken>"], part => Assert.Contains(part, exception.Message));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("{\"model\": {\"vocab\": {\"\\ud800\": 1}}}")]
    public void Parse_NotATokenizer_ThrowsInvalidData(string json)
    {
        var exception = Assert.Throws<InvalidDataException>(() => Parse(Encoding.UTF8.GetBytes(json)));

        Assert.Contains("tokenizer.json", exception.Message);
    }

    [Fact]
    public void Parse_DamagedFiles_ThrowOnlyWhatIsDocumented()
    {
        var random = new Random(7);
        var parsed = 0;
        for (var round = 0; round < 3000; round++)
        {
            try
            {
                var tokenizer = new HuggingFaceTokenizer(Parse(Mutations.Apply(random, valid)), new TokenizerConfig());
                Assert.NotNull(tokenizer.Decode(tokenizer.Encode("the <|im_start|> fox")));
                parsed++;
            }
            catch (Exception exception) when (exception is InvalidDataException or NotSupportedException)
            {
                Assert.Contains("tokenizer.json", exception.Message);
            }
        }
        Assert.InRange(parsed, 1, 2999);
    }

    private static TokenizerJson Parse(byte[] bytes) => TokenizerJson.Parse(bytes, "tokenizer.json");

    private static JsonObject Added(int id, string content, bool special) => new() { ["id"] = id, ["content"] = content, ["special"] = special };

    private static byte[] Edited(Action<JsonNode> edit)
    {
        var root = JsonNode.Parse(valid)!;
        edit(root);
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static byte[] MakeValid()
    {
        var trained = BpeTrainer.Train([RandomTexts.Training], new BpeTrainerOptions { VocabularySize = 300, SpecialTokens = ["<s>", "<|im_start|>"] }).Definition;
        var definition = new TokenizerJson
        {
            Vocabulary = trained.Vocabulary,
            Merges = trained.Merges,
            AddedTokens = trained.AddedTokens,
            Normalizer = [new NormalizerStep.Canonical(NormalizationForm.FormC)],
            PreTokenizer = [new PreTokenizerStep.Digits(Individual: true), new PreTokenizerStep.Split(@"\s+|\w+"), .. trained.PreTokenizer],
            TokensBefore = ["<s>"],
        };
        using var folder = new TempFolder();
        definition.Save(folder["tokenizer.json"]);
        return File.ReadAllBytes(folder["tokenizer.json"]);
    }
}
