using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.Services.Tests;

public sealed class ModelFolderTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Open_SingleAndSharded_GiveTheSameModel(int shards)
    {
        var model = TestModels.Write(folder["model"], shards: shards);
        Assert.Equivalent(TestModels.TinyConfig, model.Config, strict: true);
        Assert.Equal(TestModels.ChatMl, model.ChatTemplate);
        Assert.Equal([2], model.EosTokenIds);
        Assert.Equal(DecoderTensors.Of(model.Config).Select(tensor => tensor.Name).Order(), model.Weights.Keys.Order());
        Assert.Equal(shards, model.Weights.Values.Select(weight => weight.FilePath).Distinct().Count());
        using var weights = model.OpenWeights();
        Assert.Equal(384 * 64, weights.ReadFloats(DecoderTensors.Embedding).Length);
    }

    [Fact]
    public void Open_GenerationConfigAndTemplateFile_WinOverTheirFallbacks()
    {
        TestModels.Write(folder["model"]);
        File.WriteAllText(folder["model/generation_config.json"], """{"eos_token_id": [2, 0]}""");
        File.WriteAllText(folder["model/chat_template.jinja"], "{{ messages[0].content }}");
        var model = ModelFolder.Open(folder["model"]);
        Assert.Equal([2, 0], model.EosTokenIds);
        Assert.Equal("{{ messages[0].content }}", model.ChatTemplate);
    }

    [Fact]
    public void Open_EmptyFolder_NamesEveryMissingFile()
    {
        var error = Assert.Throws<InvalidModelFileException>(() => ModelFolder.Open(folder.Path));
        Assert.Equal(
            [
                "config.json is missing", "tokenizer.json is missing",
                "model.safetensors (or model.safetensors.index.json with its shards) is missing",
            ],
            error.Errors);
    }

    [Fact]
    public void Open_WeightsOfAnotherShape_NamesEveryTensor()
    {
        TestModels.Write(folder["model"]);
        (TestModels.TinyConfig with { HiddenSize = 32, TieWordEmbeddings = false }).Save(folder["model/config.json"]);
        var error = Assert.Throws<InvalidModelFileException>(() => ModelFolder.Open(folder["model"]));
        Assert.Contains("tensor \"lm_head.weight\" is missing", error.Errors);
        Assert.Contains("tensor \"model.norm.weight\": [32] is expected by config.json, found [64]", error.Errors);
        Assert.Equal(DecoderTensors.Of(TestModels.TinyConfig).Count() + 1, error.Errors.Count);
    }

    [Fact]
    public void Open_UnexpectedTensor_IsNamed()
    {
        var model = TestModels.Write(folder["model"]);
        using (var weights = model.OpenWeights())
        {
            var tensors = model.Weights.Keys.Select(
                name => TensorSource.FromFloats(name, weights[name].Tensor.Shape, weights.ReadFloats(name)))
                .Append(TensorSource.FromFloats("model.layers.0.self_attn.q_proj.bias", [1], new float[1]))
                .Append(TensorSource.FromFloats("model.layers.0.self_attn.rotary_emb.inv_freq", [1], new float[1]));
            SafetensorsWriter.Write(folder["model/model.safetensors"], tensors, cancellationToken: TestContext.Current.CancellationToken);
        }

        var error = Assert.Throws<InvalidModelFileException>(() => ModelFolder.Open(folder["model"]));
        Assert.Equal(
            "tensor \"model.layers.0.self_attn.q_proj.bias\" is not part of LlamaForCausalLM with this config.json",
            Assert.Single(error.Errors));
    }

    [Theory]
    [InlineData("../outside.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("")]
    public void Open_IndexThatLeavesTheFolder_IsRefused(string shard)
    {
        TestModels.Write(folder["model"], shards: 2);
        File.WriteAllText(folder["model/model.safetensors.index.json"], $$$"""{"weight_map": {"model.norm.weight": "{{{shard}}}"}}""");
        var error = Assert.Throws<InvalidModelFileException>(() => ModelFolder.Open(folder["model"]));
        Assert.Contains("must name a file of this folder", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MissingShard_IsNamed()
    {
        TestModels.Write(folder["model"], shards: 3);
        File.Delete(folder["model/model-00002-of-00003.safetensors"]);
        var error = Assert.Throws<InvalidModelFileException>(() => ModelFolder.Open(folder["model"]));
        Assert.Equal(["model-00002-of-00003.safetensors is missing (model.safetensors.index.json names it)"], error.Errors);
    }

    [Fact]
    public void LoadConfig_UnsupportedModel_NamesEverythingAtOnce()
    {
        File.WriteAllText(folder["config.json"], """
            {"architectures": ["GemmaForCausalLM"], "hidden_size": 64.5, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
             "max_position_embeddings": 128, "rope_scaling": {"rope_type": "longrope", "factor": 8}, "hidden_act": "gelu", "attention_bias": true}
            """);
        var error = Assert.Throws<InvalidModelFileException>(() => ModelConfig.Load(folder["config.json"]));
        string[] expected =
        [
            "GemmaForCausalLM is not supported; LlamaForCausalLM, MistralForCausalLM,", "\"attention_bias\"", "\"hidden_act\": gelu",
            "\"rope_scaling\": scaling of type longrope",
            "\"hidden_size\" must be a positive integer, found 64.5", "\"intermediate_size\" is missing",
        ];
        Assert.Equal(expected.Length, error.Errors.Count);
        Assert.All(expected, part => Assert.Contains(error.Errors, message => message.Contains(part, StringComparison.Ordinal)));
    }

    [Fact]
    public void LoadConfig_Transformers5Fields_AreRead()
    {
        File.WriteAllText(folder["config.json"], """
            {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
             "max_position_embeddings": 128, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}, "dtype": "bfloat16", "eos_token_id": [1, 2]}
            """);
        var config = ModelConfig.Load(folder["config.json"]);
        Assert.Equal((500_000.0, Dtype.BF16, 16, 4), (config.RopeTheta, config.Dtype, config.HeadDimension, config.KeyValueHeadCount));
        Assert.Equal([1, 2], config.EosTokenIds);
    }
}
