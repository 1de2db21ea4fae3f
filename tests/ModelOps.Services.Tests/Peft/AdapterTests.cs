using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.Services.Tests.Peft;

public sealed class AdapterTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Write_ThenOpen_GivesTheSameConfigAndModules()
    {
        var config = new AdapterConfig
        {
            Rank = 2,
            Alpha = 16,
            TargetModules = ["q_proj"],
            Dropout = 0.05,
            UseRankStabilizedScale = true,
            BaseModel = "org/base",
        };
        AdapterFolder.Write(folder.Path, config, Pair("model.layers.0.self_attn.q_proj", rank: 2), TestContext.Current.CancellationToken);
        var adapter = AdapterFolder.Open(folder.Path);

        Assert.Equivalent(config, adapter.Config, strict: true);
        Assert.Equal(16 / Math.Sqrt(2), adapter.Config.Scale, 12);
        var module = Assert.Single(adapter.Modules.Values);
        Assert.Equal("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", module.A.Name);
        Assert.Equal([2, 3], module.A.Shape);
        Assert.Equal("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", module.B.Name);
        Assert.Equal([4, 2], module.B.Shape);
    }

    [Fact]
    public void Load_ConfigAsPeftWritesIt_IsRead()
    {
        // The fields and defaults that peft 0.14 writes for LoraConfig(r=8, lora_alpha=32).
        File.WriteAllText(folder["adapter_config.json"], """
            {"alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M", "bias": "none", "eva_config": null,
             "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "layer_replication": null,
             "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 32, "lora_bias": false, "lora_dropout": 0.0,
             "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null, "peft_type": "LORA", "r": 8, "rank_pattern": {},
             "revision": null, "target_modules": ["v_proj", "q_proj"], "task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": false}
            """);
        var config = AdapterConfig.Load(folder["adapter_config.json"]);
        Assert.Equal((8, 32, 4.0), (config.Rank, config.Alpha, config.Scale));
        Assert.Equal(["v_proj", "q_proj"], config.TargetModules);
    }

    [Fact]
    public void Load_UnsupportedConfig_NamesEverything()
    {
        File.WriteAllText(folder["adapter_config.json"], """
            {"peft_type": "LORA", "r": 0, "target_modules": ["q_proj"], "bias": "all", "lora_bias": true, "rank_pattern": {"q_proj": 4}, "modules_to_save": ["lm_head"], "lora_dropout": 1}
            """);
        var error = Assert.Throws<InvalidModelFileException>(() => AdapterConfig.Load(folder["adapter_config.json"]));
        string[] expected =
        [
            "\"bias\" all", "\"lora_bias\"", "\"modules_to_save\"", "\"rank_pattern\"", "\"r\" must be", "\"lora_alpha\" is missing",
            "\"lora_dropout\"",
        ];
        Assert.Equal(expected.Length, error.Errors.Count);
        Assert.All(expected, part => Assert.Contains(error.Errors, message => message.Contains(part, StringComparison.Ordinal)));
    }

    [Fact]
    public void Write_TensorsThatDoNotFit_AreNamedAndNothingIsWritten()
    {
        var config = new AdapterConfig { Rank = 8, Alpha = 16, TargetModules = ["q_proj"] };
        TensorSource[] tensors =
        [
            .. Pair("model.layers.0.self_attn.q_proj", rank: 2),
            Floats(AdapterFolder.TensorNameA("model.layers.1.mlp.up_proj"), [8, 3]),
            Floats("lm_head.weight", [2, 2]),
        ];
        var error = Assert.Throws<InvalidModelFileException>(
            () => AdapterFolder.Write(folder["adapter"], config, tensors, TestContext.Current.CancellationToken));
        Assert.Collection(error.Errors,
            message => Assert.Contains("rank 8 is expected, found A F32 [2, 3] and B F32 [4, 2]", message, StringComparison.Ordinal),
            message => Assert.Equal("module \"model.layers.1.mlp.up_proj\" has no lora_B", message),
            message => Assert.Contains("\"lm_head.weight\" is not of a LoRA adapter", message, StringComparison.Ordinal));
        Assert.False(Directory.Exists(folder["adapter"]));
    }

    [Fact]
    public void Open_EmptyFolder_NamesBothFiles()
    {
        var error = Assert.Throws<InvalidModelFileException>(() => AdapterFolder.Open(folder.Path));
        Assert.Equal(["adapter_config.json is missing", "adapter_model.safetensors is missing"], error.Errors);
    }

    private static TensorSource[] Pair(string module, int rank) =>
        [Floats(AdapterFolder.TensorNameA(module), [rank, 3]), Floats(AdapterFolder.TensorNameB(module), [4, rank])];

    private static TensorSource Floats(string name, long[] shape) => TensorSource.FromFloats(name, shape, new float[shape[0] * shape[1]]);
}
