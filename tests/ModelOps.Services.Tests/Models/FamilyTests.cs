using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Peft;
using ModelOps.Models;
using TorchSharp;

namespace ModelOps.Services.Tests.Models;

/// <summary>Every family of decoders: TorchSharp against the formulas and against llama.cpp on the converted model.</summary>
public sealed class FamilyTests : IDisposable
{
    // Longer than every window.
    private static readonly int[] tokens = [0, 17, 301, 42, 42, 5, 199, 77, 3, 260, 11, 12, 13, 90, 91, 92];
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Computed => [.. TestFamilies.Configs.Keys, .. TestFamilies.Others.Keys];

    public static TheoryData<string> Converted => [.. TestFamilies.Configs.Keys];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Computed))]
    public void Logits_RandomModel_EqualScalarTwin(string kind)
    {
        var files = TestModels.Write(folder["model"], TestFamilies.Of(kind));
        using var model = CausalLanguageModel.Load(files);

        var expected = new ScalarDecoder(files).Logits(tokens);

        Assert.InRange(expected.SelectMany(row => row).Max(Math.Abs), 1, 10);
        Assert.InRange(Difference((t, v) => expected[t][v], model.Logits(tokens)), 0, 1e-4);
    }

    [Theory]
    [MemberData(nameof(Converted))]
    public void Logits_ConvertedModel_EqualLlamaCpp(string kind)
    {
        var files = TestModels.Write(folder["model"], TestFamilies.Of(kind));
        GgufConversion.Convert(files, folder["model.gguf"], GgufWeightType.F32, new GgufDescription { Name = kind }, Cancellation);
        using var model = CausalLanguageModel.Load(files);
        using var llama = LlamaModel.Load(folder["model.gguf"]);
        using var evaluator = new LlamaEvaluator(llama, new LlamaEvaluatorOptions { Threads = 1 });

        var expected = evaluator.Logits(tokens);

        // Seen: 3.5e-6 by rounding of fp32, 2.9e-3 with GELU, which llama.cpp takes from a table of fp16 values.
        Assert.InRange(Difference((t, v) => expected[t, v], model.Logits(tokens)), 0, files.Config.Family.IsGelu ? 1e-2 : 2e-5);
    }

    [Theory]
    [MemberData(nameof(Computed))]
    public void LoadConfig_Saved_IsTheSame(string kind)
    {
        var config = TestFamilies.Of(kind);
        config.Save(folder["config.json"]);

        Assert.Equivalent(config, ModelConfig.Load(folder["config.json"]), strict: true);
    }

    [Theory]
    [MemberData(nameof(Computed))]
    public void SaveAdapter_OnAllLinears_MergesToTheSameLogits(string kind)
    {
        var files = TestModels.Write(folder["model"], TestFamilies.Of(kind));
        using var model = CausalLanguageModel.Load(files);
        model.AttachLora(new LoraOptions { Rank = 3, Alpha = 6 }, seed: 1);
        Randomize(model.TrainableParameters);
        var (plain, expected) = (new ScalarDecoder(files).Logits(tokens), model.Logits(tokens));
        model.SaveAdapter(folder["adapter"], cancellationToken: Cancellation);

        var adapter = AdapterFolder.Open(folder["adapter"]);
        using var merged = CausalLanguageModel.Load(AdapterMerge.Merge(files, adapter, folder["merged"], cancellationToken: Cancellation));

        Assert.Equal(files.Config.LayerCount * DecoderTensors.LinearModules.Count, adapter.Modules.Count);
        Assert.InRange(Difference((t, v) => expected[t, v], merged.Logits(tokens)), 0, 2e-4);
        Assert.True(Difference((t, v) => plain[t][v], expected) > 0.1, "the adapter changes too little to tell anything");
    }

    [Theory]
    [MemberData(nameof(Computed))]
    public void Forward_PackedDocuments_ComputeAsIfAlone(string kind)
    {
        var files = TestModels.Write(folder["model"], TestFamilies.Of(kind));
        using var model = CausalLanguageModel.Load(files);
        using var scope = torch.NewDisposeScope();
        using var layout = DocumentLayout.Create(16, [[9, 7]]);

        var packed = model.Forward(torch.tensor([.. tokens.Select(id => (long)id)], 1, 16), layout).data<float>().ToArray();

        float[,] first = model.Logits(tokens[..9]), second = model.Logits(tokens[9..]);
        var size = files.Config.VocabularySize;
        for (var i = 0; i < packed.Length; i++)
            Assert.Equal(i / size < 9 ? first[i / size, i % size] : second[(i / size) - 9, i % size], packed[i], 1e-4);
    }

    [Theory]
    [InlineData("gemma2")]
    [InlineData("qwen2")]
    public void Initialize_Family_TrainsEveryWeight(string kind)
    {
        using var model = CausalLanguageModel.Initialize(TestFamilies.Of(kind), seed: 1);
        using var scope = torch.NewDisposeScope();

        model.Loss(torch.tensor([3L, 49, 17, 8], 1, 4), torch.tensor([49L, 17, 8, 30], 1, 4)).backward();

        Assert.Equal(DecoderTensors.Of(model.Config).Count(), model.TrainableParameters.Count);
        Assert.All(model.TrainableParameters, parameter => Assert.NotNull(parameter.grad));
    }

    [Fact]
    public void Convert_WindowThatLlamaCppLacks_EndsTheContextThere()
    {
        var files = TestModels.Write(folder["model"], TestFamilies.Of("mistral-window"));
        GgufConversion.Convert(files, folder["model.gguf"], GgufWeightType.F32, new GgufDescription { Name = "m" }, Cancellation);
        using var llama = LlamaModel.Load(folder["model.gguf"]);

        Assert.Equal(5, llama.ContextLength);
    }

    [Fact]
    public void Convert_WhatLlamaCppComputesOtherwise_NamesEverything()
    {
        var config = TestFamilies.Of("gemma2") with { QueryScalar = 24, LocalLayers = [1], FinalSoftCap = null };
        var files = TestModels.Write(folder["model"], config);

        var error = Assert.Throws<InvalidModelFileException>(
            () => GgufConversion.Convert(files, folder["model.gguf"], GgufWeightType.F32, new GgufDescription { Name = "m" }, Cancellation));

        Assert.Equal(
            [
                "llama.cpp caps logits of Gemma 2, always, and of no other; \"final_logit_softcapping\" is not set",
                "llama.cpp divides scores by the root of 32; \"query_pre_attn_scalar\" is 24",
                "llama.cpp gives a sliding window to the layers 0; this model has it in 1",
            ],
            error.Errors);
    }

    private static void Randomize(IEnumerable<TorchSharp.Modules.Parameter> parameters)
    {
        using var frozen = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var randomness = new torch.Generator(2);
        foreach (var parameter in parameters) parameter.add_(torch.randn(parameter.shape, generator: randomness), 0.1);
    }

    private static double Difference(Func<int, int, double> expected, float[,] actual)
    {
        var difference = 0.0;
        for (var t = 0; t < actual.GetLength(0); t++)
            for (var v = 0; v < actual.GetLength(1); v++)
                difference = Math.Max(difference, Math.Abs(expected(t, v) - actual[t, v]));
        return difference;
    }
}
