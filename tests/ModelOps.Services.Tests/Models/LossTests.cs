using ModelOps.Models;
using ModelOps.Models.Decoder;
using TorchSharp;

namespace ModelOps.Services.Tests.Models;

/// <summary>The piecewise loss and the recomputed layers against the plain ones: values and gradients.</summary>
public class LossTests
{
    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(true, 3.0)]
    public void Mean_InPieces_EqualsThePlainLossAndItsGradients(bool trainsHead, double? limit)
    {
        TorchNatives.Load();
        using var scope = torch.NewDisposeScope();
        using var randomness = new torch.Generator(5);
        using var cap = limit is { } value ? new SoftCap(value) : null;
        const int Vocabulary = 1 << 16; // 256 positions a piece
        var targets = torch.tensor([.. Enumerable.Range(0, 300).Select(i => (long)(i * 7919) % Vocabulary)], torch.int64);
        var hidden = torch.randn(300, 4, generator: randomness).requires_grad_(true);
        var head = torch.randn(Vocabulary, 4, generator: randomness).requires_grad_(trainsHead);
        var (otherHidden, otherHead) = (hidden.detach().clone().requires_grad_(true), head.detach().clone().requires_grad_(trainsHead));

        var loss = CrossEntropy.Mean(hidden, head, targets, cap);
        (loss * 3).backward();
        var logits = torch.nn.functional.linear(otherHidden, otherHead);
        var plain = torch.nn.functional.cross_entropy(cap?.Apply(logits) ?? logits, targets);
        (plain * 3).backward();

        Assert.Equal(plain.item<float>(), loss.item<float>(), 1e-4f);
        AssertClose(otherHidden.grad!, hidden.grad!);
        if (trainsHead) AssertClose(otherHead.grad!, head.grad!);
        using var frozen = torch.no_grad();
        Assert.Equal(loss.item<float>(), CrossEntropy.Mean(hidden, head, targets, cap).item<float>());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.2)]
    public void Loss_LayersRecomputed_HasTheSameValueAndGradientsToTheLastBit(double dropout)
    {
        var (kept, recomputed) = (Gradients(dropout, recompute: false), Gradients(dropout, recompute: true));

        Assert.Equal(kept.Loss, recomputed.Loss);
        Assert.Equal(kept.Gradients, recomputed.Gradients);
        Assert.Contains(kept.Gradients, gradient => gradient != 0);
    }

    [Fact]
    public void Loss_WithEmbeddingNoise_DrawsInTrainingOnlyAndByTheStep()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files, use: WeightUse.Trained);
        var plain = Evaluate(model);
        model.AddEmbeddingNoise(5, seed: 1);

        Assert.Equal(plain, Evaluate(model));
        Assert.NotEqual(plain, Train(model, step: 0));
        Assert.Equal(Train(model, step: 3), Train(model, step: 3));
        Assert.NotEqual(Train(model, step: 3), Train(model, step: 4));

        static float Evaluate(CausalLanguageModel model)
        {
            using var frozen = torch.no_grad();
            return Loss(model).item<float>();
        }

        static float Train(CausalLanguageModel model, int step)
        {
            model.Reseed(step);
            return Loss(model).item<float>();
        }
    }

    private static (float Loss, float[] Gradients) Gradients(double dropout, bool recompute)
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);
        model.AttachLora(new LoraOptions { Rank = 2, Dropout = dropout, Decomposed = true }, seed: 1);
        model.RecomputesActivations = recompute;
        using (torch.no_grad())
            foreach (var parameter in model.TrainableParameters) parameter.add_(torch.ones_like(parameter), 0.01);
        model.Reseed(7);
        using var scope = torch.NewDisposeScope();
        var loss = Loss(model);
        loss.backward();
        return (loss.item<float>(), [.. model.TrainableParameters.SelectMany(parameter => parameter.grad!.data<float>().ToArray())]);
    }

    private static torch.Tensor Loss(CausalLanguageModel model) =>
        model.Loss(torch.tensor([5L, 6, 7, 8, 9, 10, 11, 12], 1, 8), torch.tensor([6L, 7, 8, 9, 10, 11, 12, 13], 1, 8));

    private static void AssertClose(torch.Tensor expected, torch.Tensor actual) =>
        Assert.InRange((expected - actual).abs().max().item<float>() / expected.abs().max().item<float>(), 0, 1e-4);
}
