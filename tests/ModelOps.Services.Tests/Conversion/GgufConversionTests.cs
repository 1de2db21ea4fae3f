using System.Text.Json.Nodes;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Conversion;

/// <summary>Converted models against the real llama.cpp.</summary>
public sealed class GgufConversionTests : IDisposable
{
    private const string Llama3Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Qwen2Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly GgufDescription Description = new()
    {
        Name = "Tiny",
        Version = "1.2",
        License = "apache-2.0",
        QuantizedBy = "ModelOps",
        BaseModels = [new GgufSource("Base") { Organization = "org", RepositoryUrl = "https://huggingface.co/org/base" }],
        Datasets = [new GgufSource("rows") { Version = "7" }, new GgufSource("more")],
    };

    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Convert_F32_LlamaCppComputesTheDefinition(bool tied)
    {
        var model = TestModels.Write(folder["model"], TestModels.TinyConfig with { TieWordEmbeddings = tied, RopeTheta = 500 }, seed: 5);
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F32, Description, Cancellation);
        int[] tokens = [0, 17, 301, 42, 42, 5, 199, 77, 3, 260];
        var expected = new ScalarDecoder(model).Logits(tokens);

        using var llama = LlamaModel.Load(folder["model.gguf"]);
        using var evaluator = new LlamaEvaluator(llama, new LlamaEvaluatorOptions { Threads = 1 });
        var actual = evaluator.Logits(tokens);
        var difference = 0.0;
        for (var t = 0; t < tokens.Length; t++)
        {
            for (var v = 0; v < model.Config.VocabularySize; v++)
                difference = Math.Max(difference, Math.Abs(expected[t][v] - actual[t, v]));
        }

        // Seen: 1.5e-6. A wrong layout gives over 1.
        Assert.InRange(expected.SelectMany(row => row).Max(Math.Abs), 1, 10);
        Assert.InRange(difference, 0, 1e-4);
    }

    [Theory]
    [InlineData(GgufWeightType.F16, 1, "F16")]
    [InlineData(GgufWeightType.BF16, 32, "BF16")]
    public void Convert_NarrowTypes_MatricesAreNarrowAndNormsF32(GgufWeightType type, int fileType, string expectedMatrixType)
    {
        var model = TestModels.Write(folder["model"], TestModels.TinyConfig with { Dtype = Dtype.BF16 });
        GgufConversion.Convert(model, folder["model.gguf"], type, Description, Cancellation);
        using var file = GgufFile.Open(folder["model.gguf"]);
        Assert.Equal((uint)fileType, file.Get<uint>("general.file_type"));
        Assert.All(
            file.Tensors.Values,
            tensor => Assert.Equal(tensor.Dimensions.Length == 1 ? "F32" : expectedMatrixType, tensor.Type.ToString()));
        Assert.InRange(file.BitsPerWeight, 16, 16.2);

        using var weights = model.OpenWeights();
        var bytes = new byte[file.Tensors["blk.1.ffn_down.weight"].Length];
        file.Read("blk.1.ffn_down.weight", bytes);
        var values = new float[bytes.Length / 2];
        FloatBytes.Decode(type == GgufWeightType.F16 ? Dtype.F16 : Dtype.BF16, bytes, values);
        var original = weights.ReadFloats("model.layers.1.mlp.down_proj.weight");
        Assert.Equal(type == GgufWeightType.BF16 ? original : [.. original.Select(value => (float)(Half)value)], values);

        using var llama = LlamaModel.Load(folder["model.gguf"]);
        using var evaluator = new LlamaEvaluator(llama, new LlamaEvaluatorOptions { Threads = 1 });
        Assert.All(evaluator.Logits([1, 2, 3]).Cast<float>(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Convert_Metadata_IsWhatLlamaCppReads()
    {
        var model = TestModels.Write(folder["model"]);
        File.WriteAllText(Path.Combine(model.Path, "generation_config.json"), """{"eos_token_id": [2, 1]}""");
        model = ModelFolder.Open(model.Path);
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F32, Description, Cancellation);

        using var llama = LlamaModel.Load(folder["model.gguf"]);
        Assert.Equal(512, llama.ContextLength);
        Assert.Equal(384, llama.VocabularySize);
        Assert.Equal(TestModels.ChatMl, llama.ChatTemplate);
        Assert.Equal(new SpecialToken(0, "<|endoftext|>"), llama.BosToken);
        Assert.Equal(new SpecialToken(2, "<|im_end|>"), llama.EosToken);
        Assert.False(llama.AddsBosToken);
        Assert.Equal([true, true, false], new[] { 1, 2, 100 }.Select(llama.IsEndOfGeneration));
        (string Key, string Value)[] expected =
        [
            ("general.architecture", "llama"), ("general.name", "Tiny"), ("general.version", "1.2"), ("general.license", "apache-2.0"),
            ("general.quantized_by", "ModelOps"),
            ("general.base_model.count", "1"), ("general.base_model.0.name", "Base"), ("general.base_model.0.organization", "org"),
            ("general.base_model.0.repo_url", "https://huggingface.co/org/base"), ("general.dataset.count", "2"),
            ("general.dataset.0.version", "7"),
            ("general.dataset.1.name", "more"), ("general.size_label", "110.9K"), ("llama.attention.head_count_kv", "2"),
            ("tokenizer.ggml.pre", "gpt-2"),
        ];
        Assert.All(expected, entry => Assert.Equal(entry.Value, llama.Metadata[entry.Key]));

        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        for (var id = 3; id < tokenizer.VocabularySize; id++)
            Assert.Equal(tokenizer.Definition.Tokens[id].Text, string.Concat(llama.TokenBytes(id).Select(ByteLevelAlphabet.CharacterOf)));
    }

    [Theory]
    [InlineData("gpt-2", false)]
    [InlineData("smollm", false)]
    [InlineData("smaug-bpe", false)]
    [InlineData("llama-bpe", true)]
    [InlineData("qwen2", false)]
    public void Convert_Tokenizer_LlamaCppSplitsTextAlike(string preTokenizer, bool ignoreMerges)
    {
        var model = TestModels.Write(
            folder["model"], TestModels.TinyConfig with { VocabularySize = 512 }, preTokenizer: Steps(preTokenizer));
        EditTokenizer(model, root => root["model"]!["ignore_merges"] = ignoreMerges);
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F16, Description, Cancellation);

        var tokenizer = HuggingFaceTokenizer.Load(model.Path);
        using var llama = LlamaModel.Load(folder["model.gguf"], new LlamaModelOptions { VocabularyOnly = true });
        Assert.Equal(preTokenizer, llama.Metadata["tokenizer.ggml.pre"]);
        var random = new Random(53);
        for (var round = 0; round < 2_000; round++)
        {
            var text = RandomText(random);
            var (expected, actual) = (tokenizer.Encode(text), llama.Tokenize(text, addSpecial: false, parseSpecial: true));
            Assert.True(
                expected.AsSpan().SequenceEqual(actual),
                $"\"{text}\": Hugging Face [{string.Join(", ", expected)}], llama.cpp [{string.Join(", ", actual)}]");
        }
    }

    [Fact]
    public void Convert_TokensBeforeAText_LlamaCppAddsThem()
    {
        var model = TestModels.Write(folder["model"]);
        EditTokenizer(model, root => root["post_processor"] = JsonNode.Parse("""
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}
            """));
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F32, Description, Cancellation);
        using var llama = LlamaModel.Load(folder["model.gguf"], new LlamaModelOptions { VocabularyOnly = true });
        Assert.Equal(
            [0, .. HuggingFaceTokenizer.Load(model.Path).Encode("the fox")],
            llama.Tokenize("the fox", addSpecial: true, parseSpecial: true));
    }

    [Fact]
    public void Convert_TokenizerThatLlamaCppLacks_NamesEverything()
    {
        var model = TestModels.Write(folder["model"],
            preTokenizer: [new PreTokenizerStep.Split(@"\w+"), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: false)]);
        EditTokenizer(model, root => root["added_tokens"]!.AsArray().Add(AddedToken(380, "[PAD383]")));
        EditTokenizer(model, root => root["normalizer"] = JsonNode.Parse("""{"type": "NFD"}"""));
        AssertRefused(model,
            "2 tokens are \"[PAD383]\"",
            "llama.cpp cannot normalize text (FormD)",
            "llama.cpp has no pre-tokenizer for Split { Pattern = \\w+ } + ByteLevel { AddPrefixSpace = False, UseRegex = False }");
    }

    [Fact]
    public void Convert_TokenizerLargerThanTheModel_IsRefused()
    {
        var model = TestModels.Write(folder["model"]);
        EditTokenizer(model, root => root["added_tokens"]!.AsArray().Add(AddedToken(400, "<|more|>")));
        AssertRefused(model, "the tokenizer has 401 tokens, the model embeds 384");
    }

    [Fact]
    public void Convert_WeightBeyondF16_NamesTheTensorAndTheWayOut()
    {
        var model = TestModels.Write(folder["model"]);
        using (var weights = model.OpenWeights())
        {
            var tensors = model.Weights.Keys.Select(name =>
            {
                var values = weights.ReadFloats(name);
                if (name == "model.layers.1.mlp.up_proj.weight") values[7] = 70_000;
                return TensorSource.FromFloats(name, weights[name].Tensor.Shape, values);
            }).ToArray();
            SafetensorsWriter.Write(Path.Combine(model.Path, ModelFolder.WeightsFile), tensors, cancellationToken: Cancellation);
        }

        model = ModelFolder.Open(model.Path);
        var error = Assert.Throws<InvalidModelFileException>(
            () => GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F16, Description, Cancellation));
        Assert.Equal(["tensor \"model.layers.1.mlp.up_proj.weight\" holds 70000, which F16 cannot; convert to BF16 or F32"], error.Errors);
        Assert.Equal(["model"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName));
        GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.BF16, Description, Cancellation);
    }

    private void AssertRefused(ModelFolder model, params string[] errors)
    {
        var error = Assert.Throws<InvalidModelFileException>(
            () => GgufConversion.Convert(model, folder["model.gguf"], GgufWeightType.F32, Description, Cancellation));
        Assert.Equal(errors, error.Errors);
        Assert.False(File.Exists(folder["model.gguf"]));
    }

    private static JsonNode AddedToken(int id, string content) => JsonNode.Parse(
        $$"""{"id": {{id}}, "content": "{{content}}", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}""")!;

    private static IReadOnlyList<PreTokenizerStep> Steps(string preTokenizer) => preTokenizer switch
    {
        "gpt-2" => [new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)],
        "smollm" => [new PreTokenizerStep.Digits(Individual: true), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)],
        "qwen2" => [new PreTokenizerStep.Split(Qwen2Pattern), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: false)],
        _ => [new PreTokenizerStep.Split(Llama3Pattern), new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: false)],
    };

    private static void EditTokenizer(ModelFolder model, Action<JsonNode> edit)
    {
        var root = JsonNode.Parse(File.ReadAllText(model.TokenizerPath))!;
        edit(root);
        File.WriteAllText(model.TokenizerPath, root.ToJsonString());
    }

    private static string RandomText(Random random)
    {
        string[] parts =
        [
            "the", "The", " quick", "brown", "jumps", "n't", "'re", "'LL", "it's", " ", "  ", "   ", "\n", "\r\n", "\t", "\n\n", "1984",
            "42", "7", "½", "٣", ".", "...", "!?", "-", "--", "_",
            "é", "Señor", "naïve", "日本語", "テキスト", "한국어", "Привет", "مرحبا", "हिन्दी", "🙂", "👩‍👩‍👧",
            "<|im_start|>", "<|im_end|>", "<|im",
            "a", "B", "\u00a0", "\u3000", "e\u0301", "(", ")", "{\"k\": [1,2]}", "x=1;",
        ];
        return string.Concat(Enumerable.Range(0, random.Next(0, 12)).Select(_ => parts[random.Next(parts.Length)]));
    }
}
