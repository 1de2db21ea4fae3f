using System.Text.Json.Nodes;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.Services.Tests.Conversion;

/// <summary>Converted adapters, applied by the real llama.cpp to converted bases, against merged models.</summary>
public sealed class GgufAdapterConversionTests : IDisposable
{
    private static readonly GgufDescription Description = new() { Name = "tone", License = "mit", BaseModels = [new GgufSource("base") { Version = "3" }] };
    private static readonly int[] tokens = [0, 17, 301, 42, 42, 5, 199, 77, 3, 260, 11, 12, 13, 90, 91, 92];

    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Families => [.. TestFamilies.Configs.Keys];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Families))]
    public void Convert_Family_LlamaCppComputesTheMergedModel(string kind)
    {
        var source = TestModels.Write(folder["base"], TestFamilies.Of(kind));
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config, rank: 3, alpha: 6);

        var (plain, merged, adapted) = Logits(source, adapter);

        // Seen: 3e-6 by the order of additions, 3e-3 with GELU, which llama.cpp takes from a table of fp16 values.
        Assert.InRange(Difference(merged, adapted), 0, source.Config.Family.IsGelu ? 1e-2 : 5e-5);
        Assert.True(Difference(plain, merged) > 0.1, "the adapter changes too little to tell anything");
    }

    [Fact]
    public void Convert_RankStabilizedScale_IsFoldedIntoAlpha()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config, rank: 4, alpha: 2, rankStabilized: true);

        var (_, merged, adapted) = Logits(source, adapter);

        Assert.InRange(Difference(merged, adapted), 0, 5e-5);
        using var file = GgufFile.Open(folder["adapter.gguf"]);
        Assert.Equal(4f, file.Get<float>("adapter.lora.alpha")); // 2 / √4 · 4
    }

    [Fact]
    public void Convert_Metadata_SaysWhatItIs()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config, rank: 4, alpha: 8);
        GgufAdapterConversion.Convert(adapter, source, folder["adapter.gguf"], GgufWeightType.F16, Description, Cancellation);

        using var file = GgufFile.Open(folder["adapter.gguf"]);

        (string Key, object Value)[] expected =
        [
            ("general.architecture", "llama"), ("general.type", "adapter"), ("adapter.type", "lora"), ("adapter.lora.alpha", 8f),
            ("general.name", "tone"), ("general.license", "mit"), ("general.base_model.0.name", "base"), ("general.file_type", 1u),
        ];
        Assert.All(expected, entry => Assert.Equal(entry.Value, file.Metadata[entry.Key]));
        Assert.Equal(2 * 7 * 2, file.Tensors.Count);
        Assert.Equal([64L, 4], file.Tensors["blk.1.attn_q.weight.lora_a"].Dimensions);
        Assert.Equal([4L, 128], file.Tensors["blk.1.attn_q.weight.lora_b"].Dimensions);
        Assert.All(file.Tensors.Values, tensor => Assert.Equal(GgmlType.F16, tensor.Type));
    }

    [Fact]
    public void Convert_Decomposed_IsRefusedWithTheWayOut()
    {
        var source = TestModels.Write(folder["base"]);
        var plain = TestModels.WriteAdapter(folder["plain"], source.Config);
        using (var weights = plain.OpenWeights())
        {
            TensorSource[] tensors =
            [
                .. weights.Tensors.Values.Select(tensor => TensorSource.FromFloats(tensor.Name, tensor.Shape, weights.ReadFloats(tensor.Name))),
                .. plain.Modules.Values.Select(module => TensorSource.FromFloats(
                    AdapterFolder.TensorNameMagnitude(module.Name), [module.B.Shape[0]], new float[module.B.Shape[0]])),
            ];
            AdapterFolder.Write(folder["adapter"], plain.Config with { IsDecomposed = true }, tensors, Cancellation);
        }

        AssertRefused(
            source, AdapterFolder.Open(folder["adapter"]),
            "llama.cpp has no DoRA adapters (\"use_dora\"): merge it into its base and convert the merged model");
    }

    [Fact]
    public void Open_ModulesToSave_IsRefused()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config);
        var path = Path.Combine(adapter.Path, AdapterConfig.FileName);
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        config["modules_to_save"] = new JsonArray("lm_head");
        File.WriteAllText(path, config.ToJsonString());

        Assert.Equal(["\"modules_to_save\" is not supported"], Assert.Throws<InvalidModelFileException>(() => AdapterFolder.Open(adapter.Path)).Errors);
    }

    [Fact]
    public void Convert_AdapterOfAnotherModel_NamesTheModules()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config with { LayerCount = 3 });
        var error = Assert.Throws<InvalidModelFileException>(() => Convert(adapter, source));
        Assert.Equal(7, error.Errors.Count);
        Assert.Contains("\"model.layers.2.self_attn.q_proj\" is not a linear module of", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["adapter.gguf"]));
    }

    [Fact]
    public void Apply_AdapterOfAnotherModel_IsRefused()
    {
        var source = TestModels.Write(folder["base"]);
        var other = TestModels.Write(folder["other"], TestModels.TinyConfig with { HiddenSize = 32 });
        Convert(TestModels.WriteAdapter(folder["adapter"], other.Config), other);
        GgufConversion.Convert(source, folder["base.gguf"], GgufWeightType.F32, Description, Cancellation);
        using var model = LlamaModel.Load(folder["base.gguf"]);

        var error = Assert.Throws<GgmlException>(
            () => new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1, Adapter = folder["adapter.gguf"] }));

        Assert.Contains("do not fit", error.Message, StringComparison.Ordinal);
    }

    private (float[,] Plain, float[,] Merged, float[,] Adapted) Logits(ModelFolder source, AdapterFolder adapter)
    {
        Convert(adapter, source);
        GgufConversion.Convert(source, folder["base.gguf"], GgufWeightType.F32, Description, Cancellation);
        var merged = AdapterMerge.Merge(source, adapter, folder["merged"], cancellationToken: Cancellation);
        GgufConversion.Convert(merged, folder["merged.gguf"], GgufWeightType.F32, Description, Cancellation);
        return (Logits("base.gguf", null), Logits("merged.gguf", null), Logits("base.gguf", folder["adapter.gguf"]));
    }

    private float[,] Logits(string file, string? adapter)
    {
        using var model = LlamaModel.Load(folder[file]);
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1, Adapter = adapter });
        return evaluator.Logits(tokens);
    }

    private void Convert(AdapterFolder adapter, ModelFolder source) =>
        GgufAdapterConversion.Convert(adapter, source, folder["adapter.gguf"], GgufWeightType.F32, Description, Cancellation);

    private void AssertRefused(ModelFolder source, AdapterFolder adapter, params string[] errors)
    {
        var error = Assert.Throws<InvalidModelFileException>(() => Convert(adapter, source));
        Assert.Equal(errors, error.Errors);
        Assert.False(File.Exists(folder["adapter.gguf"]));
    }

    private static double Difference(float[,] left, float[,] right) =>
        left.Cast<float>().Zip(right.Cast<float>(), (a, b) => Math.Abs((double)a - b)).Max();
}
