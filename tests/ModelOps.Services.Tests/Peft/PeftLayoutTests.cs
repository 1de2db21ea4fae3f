using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.Models;

namespace ModelOps.Services.Tests.Peft;

/// <summary>
/// What training leaves, against PEFT's documented layout, read by no code of ours but the file format: names are those of the base's modules behind
/// <c>base_model.model.</c>, without the adapter's name (https://huggingface.co/docs/peft/developer_guides/checkpoint).
/// </summary>
public sealed class PeftLayoutTests : IDisposable
{
    private const int Rank = 3;
    private readonly TempFolder folder = new();

    public static TheoryData<string> Families => [.. TestFamilies.Configs.Keys, .. TestFamilies.Others.Keys];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Families))]
    public void SaveAdapter_EveryFamily_HasThePeftLayout(string kind)
    {
        var config = TestFamilies.Of(kind);
        using var model = CausalLanguageModel.Load(TestModels.Write(folder["base"], config));
        model.AttachLora(new LoraOptions { Rank = Rank, Alpha = 6, Dropout = 0.1, TargetModules = "all-linear", RankStabilized = true, Decomposed = true }, seed: 1);

        model.SaveAdapter(folder["adapter"], "org/base", TestContext.Current.CancellationToken);

        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.EnumerateFiles(folder["adapter"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var file = SafetensorsFile.Open(Path.Combine(folder["adapter"], "adapter_model.safetensors"));
        Assert.Equal(Expected(config).Order(StringComparer.Ordinal), file.Tensors.Values.Select(tensor => $"{tensor.Name} {tensor.Dtype} {string.Join('x', tensor.Shape)}").Order(StringComparer.Ordinal));
        using var written = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder["adapter"], "adapter_config.json")));
        Assert.Equal(
            """{"base_model_name_or_path":"org/base","bias":"none","fan_in_fan_out":false,"inference_mode":true,"init_lora_weights":true,"lora_alpha":6,"lora_dropout":0.1,"modules_to_save":null,"peft_type":"LORA","r":3,"target_modules":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"],"task_type":"CAUSAL_LM","use_dora":true,"use_rslora":true}""",
            JsonSerializer.Serialize(written.RootElement));
    }

    private static IEnumerable<string> Expected(ModelConfig config)
    {
        var (hidden, heads, keys, fed) = (config.HiddenSize, config.HeadCount * config.HeadDimension, config.KeyValueHeadCount * config.HeadDimension, config.IntermediateSize);
        (string Module, int In, int Out)[] projections =
        [
            ("self_attn.q_proj", hidden, heads), ("self_attn.k_proj", hidden, keys), ("self_attn.v_proj", hidden, keys), ("self_attn.o_proj", heads, hidden),
            ("mlp.gate_proj", hidden, fed), ("mlp.up_proj", hidden, fed), ("mlp.down_proj", fed, hidden),
        ];
        return
            from layer in Enumerable.Range(0, config.LayerCount)
            from projection in projections
            let module = $"base_model.model.model.layers.{layer}.{projection.Module}"
            from tensor in (string[])[$"lora_A.weight F32 {Rank}x{projection.In}", $"lora_B.weight F32 {projection.Out}x{Rank}", $"lora_magnitude_vector F32 {projection.Out}"]
            select $"{module}.{tensor}";
    }
}
