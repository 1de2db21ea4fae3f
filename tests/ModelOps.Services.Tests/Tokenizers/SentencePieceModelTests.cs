using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

/// <summary>A tokenizer.model that sentencepiece trained, read, converted and damaged.</summary>
public sealed class SentencePieceModelTests : IDisposable
{
    private static readonly string trained = Path.Combine(TestPaths.Repository, "tests", "references", "tokenizers", "sentencepiece-bpe", SentencePieceModel.FileName);
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Convert_TokenizerModel_LlamaCppSplitsTextAlike()
    {
        var model = Model();
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F16, new GgufDescription { Name = "sp" }, Cancellation);
        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        using var llama = LlamaModel.Load(folder["model.gguf"], new LlamaModelOptions { VocabularyOnly = true });

        Assert.Equal(("llama", true), (llama.Metadata["tokenizer.ggml.model"], llama.AddsBosToken));
        foreach (var text in Texts(10_000))
        {
            var (expected, actual) = (tokenizer.Encode(text), llama.Tokenize(text, addSpecial: false, parseSpecial: true));
            Assert.True(
                expected.AsSpan().SequenceEqual(actual),
                $"\"{text}\": ours [{string.Join(", ", expected)}], llama.cpp [{string.Join(", ", actual)}]");
        }
    }

    [Theory]
    [InlineData("gemma", "")]
    [InlineData("mistral", "<s>")] // a chat, which begins with a special token
    public void Convert_TokenizerJsonOfItsKind_LlamaCppSplitsTextAlike(string kind, string start)
    {
        var model = Model();
        var definition = SentencePieceModel.Load(model.TokenizerPath);
        var space = new NormalizerStep.Replace(" ", "\u2581");
        var tokenizerJson = kind == "gemma"
            ? Copy(definition, definition.Merges, [space], [new PreTokenizerStep.Split(" ", SplitBehavior.MergedWithPrevious)])
            : Copy(definition, definition.Merges, [], [new PreTokenizerStep.Metaspace(PrependScheme.First, Cuts: false)]);
        tokenizerJson.Save(Path.Combine(model.Path, TokenizerJson.FileName));
        new TokenizerConfig { ChatTemplate = "{{ messages }}" }.Save(model.Path);
        GgufConversion.Convert(ModelFolder.Open(model.Path), folder["model.gguf"], GgufWeightType.F16, new GgufDescription { Name = kind }, Cancellation);
        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        using var llama = LlamaModel.Load(folder["model.gguf"], new LlamaModelOptions { VocabularyOnly = true });

        Assert.All(Texts(2_000).Select(text => start + text), text => Assert.Equal(tokenizer.Encode(text), llama.Tokenize(text, addSpecial: false, parseSpecial: true)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Save_AsTokenizerJson_TokenizersSplitsTextAlike(bool prefixed)
    {
        var tokenizer = HuggingFaceTokenizer.Load(Model().Path);
        Copy(tokenizer.Definition, tokenizer.Definition.Merges, prefixed ? tokenizer.Definition.Normalizer : [tokenizer.Definition.Normalizer[^1]], []).Save(folder["tokenizer.json"]);
        new TokenizerConfig { BosToken = "<s>" }.Save(folder.Path);
        var loaded = HuggingFaceTokenizer.Load(folder.Path);
        var texts = Texts(2_000);

        var expected = await NodeOracle.AskAsync("encode-texts.mjs", new { folder = folder.Path, texts }, Cancellation);

        Assert.All(texts.Zip(expected.EnumerateArray()), pair =>
            Assert.Equal(pair.Second.EnumerateArray().Select(id => id.GetInt32()), loaded.Encode(pair.First)));
    }

    [Fact]
    public void Convert_RulesThatAreNoScores_NamesTheDifference()
    {
        var model = Model();
        var definition = SentencePieceModel.Load(model.TokenizerPath);
        var missing = definition.Merges.GroupBy(merge => merge.Left + merge.Right).First(group => group.Count() > 1).Last();
        Copy(definition, [.. definition.Merges.Where(merge => merge != missing)], definition.Normalizer, [])
            .Save(Path.Combine(model.Path, TokenizerJson.FileName));

        var error = Assert.Throws<InvalidModelFileException>(
            () => GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F16, new GgufDescription { Name = "sp" }, Cancellation));

        Assert.Contains($"llama.cpp merges \"{missing.Left}\" and \"{missing.Right}\", this tokenizer does not", error.Errors);
    }

    [Fact]
    public void Encode_MillionCharactersInOnePiece_AreNoBurden()
    {
        var tokenizer = HuggingFaceTokenizer.Load(Model().Path);
        var text = string.Concat(Enumerable.Repeat("the cat sat on the mat and looked at them, ", 25_000)); // a million characters, one piece

        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void Parse_Unigram_IsNamedAsUnsupported()
    {
        var path = Path.Combine(TestPaths.Repository, "tests", "references", "tokenizers", "sentencepiece-unigram", SentencePieceModel.FileName);

        Assert.Contains("a unigram model", Assert.Throws<NotSupportedException>(() => SentencePieceModel.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_DamagedFiles_ThrowOnlyWhatIsDocumented()
    {
        var valid = File.ReadAllBytes(trained);
        var random = new Random(11);
        var parsed = 0;
        for (var round = 0; round < 400; round++)
        {
            try
            {
                var tokenizer = new HuggingFaceTokenizer(SentencePieceModel.Parse(Mutations.Apply(random, valid), "tokenizer.model"), new TokenizerConfig());
                Assert.NotNull(tokenizer.Decode(tokenizer.Encode("the <s> fox\n日本")));
                parsed++;
            }
            catch (Exception exception) when (exception is InvalidDataException or NotSupportedException)
            {
                Assert.Contains("tokenizer.model", exception.Message, StringComparison.Ordinal);
            }
        }
        Assert.InRange(parsed, 1, 399);
    }

    private static List<string> Texts(int count) => RandomTexts.Make(seed: 3, count);

    private static TokenizerJson Copy(
        TokenizerJson from, IReadOnlyList<MergeRule> merges, IReadOnlyList<NormalizerStep> normalizer, IReadOnlyList<PreTokenizerStep> preTokenizer) => new()
        {
            Vocabulary = from.Vocabulary,
            Merges = merges,
            AddedTokens = from.AddedTokens,
            Normalizer = normalizer,
            PreTokenizer = preTokenizer,
            ByteFallback = from.ByteFallback,
            UnknownToken = from.UnknownToken,
            FusesUnknown = from.FusesUnknown,
            StripsLeadingSpace = from.StripsLeadingSpace,
            TokensBefore = from.TokensBefore,
        };

    private ModelFolder Model()
    {
        var vocabulary = SentencePieceModel.Load(trained).VocabularySize;
        var model = TestModels.Write(folder["model"], TestModels.TinyConfig with { VocabularySize = vocabulary, BosTokenId = 1 });
        foreach (var name in (string[])[TokenizerJson.FileName, "tokenizer_config.json"]) File.Delete(Path.Combine(model.Path, name));
        File.Copy(trained, Path.Combine(model.Path, SentencePieceModel.FileName));
        return ModelFolder.Open(model.Path);
    }
}
