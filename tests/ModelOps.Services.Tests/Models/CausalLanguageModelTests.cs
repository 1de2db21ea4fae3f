using ModelOps.ModelFiles;
using ModelOps.Models;
using TorchSharp;

namespace ModelOps.Services.Tests.Models;

public class CausalLanguageModelTests
{
    private const double Tolerance = 2e-4; // fp32 against double, logits of about ±5

    public static TheoryData<int, bool> Variants => new() { { 2, true }, { 4, false }, { 1, true } };

    [Theory]
    [MemberData(nameof(Variants))]
    public void Logits_RandomModel_EqualScalarTwin(int keyValueHeads, bool tied)
    {
        var config = TestModels.TinyConfig with { KeyValueHeadCount = keyValueHeads, TieWordEmbeddings = tied };
        using var tiny = new TinyModel(config);
        using var model = CausalLanguageModel.Load(tiny.Files);
        int[] tokens = [3, 49, 0, 17, 17, 8, 25, 31, 4];

        var logits = model.Logits(tokens);

        var expected = new ScalarDecoder(tiny.Files).Logits(tokens);
        Assert.True(expected.Max(row => row.Max()) > 1, "the twin's logits are too small to tell anything");
        for (var t = 0; t < tokens.Length; t++)
            for (var v = 0; v < config.VocabularySize; v++)
                Assert.Equal(expected[t][v], logits[t, v], Tolerance);
    }

    [Fact]
    public void Forward_PackedDocuments_ComputeAsIfAlone()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);
        int[][] documents = [[5, 6, 7, 8], [9, 10], [11, 12, 13]];
        using var scope = torch.NewDisposeScope();
        using var layout = DocumentLayout.Create(12, [[4, 2, 3]]); // three positions of padding

        var packed = model.Forward(torch.tensor([5L, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0, 0], 1, 12), layout).data<float>().ToArray();

        var at = 0;
        foreach (var document in documents)
        {
            var alone = model.Logits(document);
            for (var t = 0; t < document.Length; t++, at++)
                for (var v = 0; v < TestModels.TinyConfig.VocabularySize; v++)
                    Assert.Equal(alone[t, v], packed[at * TestModels.TinyConfig.VocabularySize + v], Tolerance);
        }
    }

    [Fact]
    public void Loss_IgnoredTargets_IsMeanOverTheOthers()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);
        using var scope = torch.NewDisposeScope();
        var targets = torch.tensor([CausalLanguageModel.IgnoredTarget, 7, CausalLanguageModel.IgnoredTarget, 9], 1, 4);

        var loss = model.Loss(torch.tensor([5L, 6, 7, 8], 1, 4), targets).item<float>();

        var logits = new ScalarDecoder(tiny.Files).Logits([5, 6, 7, 8]);
        var expected = (Nats(logits[1], 7) + Nats(logits[3], 9)) / 2;
        Assert.Equal(expected, loss, Tolerance);

        static double Nats(double[] row, int token) => Math.Log(row.Sum(Math.Exp)) - row[token];
    }

    [Fact]
    public async Task Forward_WhileFinalizersRun_ComputesTheSame()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);
        model.AttachLora(new LoraOptions(), seed: 1);
        var expected = model.Logits([5, 6, 7, 8]);
        await using var pressure = new FinalizerPressure();

        for (var run = 0; run < 1000; run++) Assert.Equal(expected, model.Logits([5, 6, 7, 8]));
    }

    [Fact]
    public void Logits_TokenOutsideVocabulary_SaysTheRange()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);

        Assert.Contains("0 to 383", Assert.Throws<ArgumentException>(() => model.Logits([1, 384])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => model.Logits([-1]));
        Assert.Throws<ArgumentException>(() => model.Logits([]));
    }

    [Fact]
    public void Forward_ForeignLayout_IsRefused()
    {
        using var tiny = new TinyModel(TestModels.TinyConfig);
        using var model = CausalLanguageModel.Load(tiny.Files);
        using var scope = torch.NewDisposeScope();
        using var layout = DocumentLayout.Create(3, [[3]]);

        Assert.Throws<ArgumentException>(() => model.Forward(torch.tensor([5L, 6, 7, 8], 1, 4), layout));
        Assert.Throws<ArgumentException>(() => model.Forward(torch.tensor([5L, 6, 7, 8])));
    }

    [Theory]
    [InlineData(4, 5)]
    [InlineData(4, 2, 3)]
    [InlineData(4, 2, 0)]
    public void CreateLayout_DocumentsThatDoNotFit_AreRefused(int length, params int[] documents) =>
        Assert.Throws<ArgumentException>(() => DocumentLayout.Create(length, [documents]));

    [Fact]
    public void Initialize_SameSeed_GivesSameModel()
    {
        using var one = CausalLanguageModel.Initialize(TestModels.TinyConfig, seed: 5);
        using var same = CausalLanguageModel.Initialize(TestModels.TinyConfig, seed: 5);
        using var other = CausalLanguageModel.Initialize(TestModels.TinyConfig, seed: 6);

        Assert.Equal(one.Logits([1, 2, 3]), same.Logits([1, 2, 3]));
        Assert.NotEqual(one.Logits([1, 2, 3]), other.Logits([1, 2, 3]));
    }

    [Theory]
    [InlineData(Dtype.F32, 0)]
    [InlineData(Dtype.BF16, 0.05)]
    public void SaveWeights_ThenLoad_GivesSameLogits(Dtype dtype, double tolerance)
    {
        var config = TestModels.TinyConfig with { Dtype = dtype };
        using var tiny = new TinyModel(config);
        using var model = CausalLanguageModel.Load(tiny.Files);
        var before = model.Logits([1, 2, 3]);
        model.SaveWeights(Path.Combine(tiny.Files.Path, ModelFolder.WeightsFile), TestContext.Current.CancellationToken);

        using var saved = CausalLanguageModel.Load(ModelFolder.Open(tiny.Files.Path));

        var after = saved.Logits([1, 2, 3]);
        for (var v = 0; v < config.VocabularySize; v++) Assert.Equal(before[2, v], after[2, v], tolerance);
    }
}
