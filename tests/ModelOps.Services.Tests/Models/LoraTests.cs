using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.Models;
using TorchSharp;
using TorchSharp.Modules;

namespace ModelOps.Services.Tests.Models;

public sealed class LoraTests : IDisposable
{
    private static readonly int[] tokens = [3, 49, 0, 17, 17, 8];
    private readonly TinyModel tiny = new(TestModels.TinyConfig);
    private readonly DirectoryInfo output = Directory.CreateTempSubdirectory("modelops-lora-");

    public void Dispose()
    {
        tiny.Dispose();
        output.Delete(recursive: true);
    }

    [Fact]
    public void AttachLora_Fresh_ChangesNothingAndTrainsOnlyTheAdapter()
    {
        using var model = CausalLanguageModel.Load(tiny.Files);
        var before = model.Logits(tokens);

        model.AttachLora(new LoraOptions { Rank = 3 }, seed: 1);

        Assert.Equal(before, model.Logits(tokens));
        Assert.Equal(2 * 7 * 2, model.TrainableParameters.Count); // layers × projections × (A, B)
        Assert.Equal(3 * ((64 + 128) + 2 * (64 + 64) + (128 + 64) + 3 * (64 + 96)) * 2, model.TrainableParameters.Sum(parameter => parameter.numel()));
    }

    [Fact]
    public void AttachLora_ToPretrainableModel_FreezesTheBase()
    {
        using var model = CausalLanguageModel.Initialize(TestModels.TinyConfig, seed: 1);
        model.AttachLora(new LoraOptions { Rank = 2, TargetModules = "q_proj,v_proj" }, seed: 1);

        using var scope = torch.NewDisposeScope();
        Loss(model).backward();

        Assert.Equal(2 * 2 * 2, model.TrainableParameters.Count);
        Assert.All(model.TrainableParameters, parameter => Assert.NotNull(parameter.grad));
    }

    [Fact]
    public void Backward_EveryMatrix_EqualsFiniteDifference()
    {
        using var model = Adapted();
        using var scope = torch.NewDisposeScope();
        Loss(model).backward();
        const double step = 1e-2;

        foreach (var parameter in model.TrainableParameters)
        {
            // Along the gradient itself the slope is its norm.
            var gradient = parameter.grad!.clone();
            var norm = gradient.norm().item<float>();
            Assert.True(norm > 1e-4, "a gradient this small cannot be measured in fp32");
            var slope = (LossMoved(parameter, gradient, step / norm) - LossMoved(parameter, gradient, -step / norm)) / (2 * step);
            Assert.InRange(slope / norm, 0.98, 1.02);
        }

        double LossMoved(Parameter parameter, torch.Tensor direction, double distance)
        {
            using var frozen = torch.no_grad();
            parameter.add_(direction, distance);
            var loss = Loss(model).item<float>();
            parameter.add_(direction, -distance);
            return loss;
        }
    }

    [Fact]
    public void SaveAdapter_ThenMerge_ComputesAsTheAdapterDoes()
    {
        using var model = Adapted();
        var expected = model.Logits(tokens);
        model.SaveAdapter(Path.Combine(output.FullName, "adapter"), cancellationToken: TestContext.Current.CancellationToken);

        var files = AdapterMerge.Merge(
            tiny.Files,
            AdapterFolder.Open(Path.Combine(output.FullName, "adapter")),
            Path.Combine(output.FullName, "merged"),
            cancellationToken: TestContext.Current.CancellationToken);

        using var merged = CausalLanguageModel.Load(files);
        AssertClose(expected, merged.Logits(tokens), 2e-4);
    }

    [Fact]
    public void LoadAdapter_Saved_ComputesTheSame()
    {
        using var model = Adapted();
        model.SaveAdapter(output.FullName, "base/model", TestContext.Current.CancellationToken);
        using var fresh = CausalLanguageModel.Load(tiny.Files);

        fresh.LoadAdapter(AdapterFolder.Open(output.FullName));

        Assert.Equal(model.Logits(tokens), fresh.Logits(tokens));
        Assert.NotEqual(model.Logits(tokens), LogitsOfBase());
        Assert.Equal("base/model", AdapterFolder.Open(output.FullName).Config.BaseModel);
    }

    [Fact]
    public void LoadAdapter_OfAnotherShape_NamesTheModules()
    {
        using var model = Adapted();
        model.SaveAdapter(output.FullName, cancellationToken: TestContext.Current.CancellationToken);
        using var otherFiles = new TinyModel(TestModels.TinyConfig with { IntermediateSize = 64, LayerCount = 1 });
        using var other = CausalLanguageModel.Load(otherFiles.Files);

        var error = Assert.Throws<InvalidModelFileException>(() => other.LoadAdapter(AdapterFolder.Open(output.FullName)));

        Assert.Contains("model.layers.0.mlp.down_proj", error.Message, StringComparison.Ordinal);
        Assert.Contains("model.layers.1.self_attn.q_proj", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AttachLora_InvalidOptions_SaysAllThatIsWrong()
    {
        using var model = CausalLanguageModel.Load(tiny.Files);

        var error = Assert.Throws<ArgumentException>(
            () => model.AttachLora(new LoraOptions { Rank = 0, Alpha = -1, Dropout = 1, TargetModules = "q_proj,typo" }, seed: 1));

        Assert.All(["rank is 0", "alpha is -1", "dropout is 1", "'typo'"], part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void AttachLora_Twice_IsRefused()
    {
        using var model = Adapted();

        Assert.Throws<InvalidOperationException>(() => model.AttachLora(new LoraOptions(), seed: 1));
    }

    [Fact]
    public void Dropout_InTraining_VariesAndIsSeeded_NotInEvaluation()
    {
        using var one = Adapted(dropout: 0.5);
        using var two = Adapted(dropout: 0.5);
        using var scope = torch.NewDisposeScope();

        float[] first = [Loss(one).item<float>(), Loss(one).item<float>()];
        float[] second = [Loss(two).item<float>(), Loss(two).item<float>()];

        Assert.Equal(first, second);
        Assert.NotEqual(first[0], first[1]);
        Assert.Equal(one.Logits(tokens), one.Logits(tokens));
    }

    /// <summary>With random B: a fresh adapter's is zero, and then A has no gradient.</summary>
    private CausalLanguageModel Adapted(double dropout = 0)
    {
        var model = CausalLanguageModel.Load(tiny.Files);
        model.AttachLora(new LoraOptions { Rank = 3, Alpha = 6, Dropout = dropout }, seed: 1);
        using var frozen = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var randomness = new torch.Generator(2);
        foreach (var parameter in model.TrainableParameters)
            parameter.add_(torch.randn(parameter.shape, generator: randomness), 0.1);
        return model;
    }

    private float[,] LogitsOfBase()
    {
        using var model = CausalLanguageModel.Load(tiny.Files);
        return model.Logits(tokens);
    }

    private static torch.Tensor Loss(CausalLanguageModel model) =>
        model.Loss(torch.tensor([3L, 49, 0, 17, 17, 8], 1, 6), torch.tensor([49L, 0, CausalLanguageModel.IgnoredTarget, 17, 8, 30], 1, 6));

    private static void AssertClose(float[,] expected, float[,] actual, double tolerance)
    {
        for (var t = 0; t < expected.GetLength(0); t++)
            for (var v = 0; v < expected.GetLength(1); v++)
                Assert.Equal(expected[t, v], actual[t, v], tolerance);
    }
}
