using System.Text.Json;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

/// <summary>Tokenizers of the common kinds, trained by tokenizers and sentencepiece, with what those make of texts: tests/references.</summary>
public sealed class ReferenceTokenizerTests
{
    private static readonly string references = Path.Combine(TestPaths.Repository, "tests", "references", "tokenizers");
    private static readonly string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllText(Path.Combine(references, "texts.json")))!;

    [Theory]
    [InlineData("llama2")]
    [InlineData("mistral")]
    [InlineData("gemma")]
    [InlineData("llama3")]
    [InlineData("qwen2")]
    [InlineData("gpt2")]
    public void EncodeAndDecode_TokenizersFile_GivesWhatTokenizersGives(string name)
    {
        var tokenizer = HuggingFaceTokenizer.Load(Path.Combine(references, name));
        using var expected = Expected(name);

        for (var index = 0; index < texts.Length; index++)
        {
            var ids = Ids(expected, "plain", index);
            AssertIds(texts[index], ids, tokenizer.Encode(texts[index]));
            AssertIds(texts[index], Ids(expected, "ids", index), [.. tokenizer.Definition.TokensBefore.Select(token => tokenizer.IdOf(token)!.Value), .. ids]);
            Assert.Equal(expected.RootElement.GetProperty("decoded")[index].GetString(), tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void EncodeAndDecode_SentencePieceFile_GivesWhatSentencePieceGives()
    {
        const string name = "sentencepiece-bpe";
        var loaded = SentencePieceModel.Load(Path.Combine(references, name, SentencePieceModel.FileName));
        // sentencepiece itself does not look for control tokens in texts, and puts no space after a defined symbol.
        var tokenizer = new HuggingFaceTokenizer(WithoutControlTokens(loaded), new TokenizerConfig());
        using var expected = Expected(name);

        for (var index = 0; index < texts.Length; index++)
        {
            if (texts[index].Contains("<|im_start|>", StringComparison.Ordinal)) continue;
            var ids = Ids(expected, "ids", index);
            AssertIds(texts[index], ids, tokenizer.Encode(texts[index]));
            Assert.Equal(expected.RootElement.GetProperty("decoded")[index].GetString(), tokenizer.Decode(ids));
        }
    }

    private static TokenizerJson WithoutControlTokens(TokenizerJson tokenizer) => new()
    {
        Vocabulary = tokenizer.Vocabulary,
        Merges = tokenizer.Merges,
        AddedTokens = [.. tokenizer.AddedTokens.Where(token => !token.Special)],
        Normalizer = tokenizer.Normalizer,
        PreTokenizer = tokenizer.PreTokenizer,
        ByteFallback = tokenizer.ByteFallback,
        UnknownToken = tokenizer.UnknownToken,
        FusesUnknown = tokenizer.FusesUnknown,
        StripsLeadingSpace = tokenizer.StripsLeadingSpace,
    };

    private static JsonDocument Expected(string name) => JsonDocument.Parse(File.ReadAllBytes(Path.Combine(references, name, "expected.json")));

    private static int[] Ids(JsonDocument expected, string key, int index) =>
        [.. expected.RootElement.GetProperty(key)[index].EnumerateArray().Select(id => id.GetInt32())];

    private static void AssertIds(string text, int[] expected, int[] actual) =>
        Assert.True(expected.AsSpan().SequenceEqual(actual), $"\"{text}\": expected [{string.Join(", ", expected)}], got [{string.Join(", ", actual)}]");
}
