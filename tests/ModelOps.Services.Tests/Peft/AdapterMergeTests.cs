using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;

namespace ModelOps.Services.Tests.Peft;

public sealed class AdapterMergeTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(Dtype.F32, 1e-6)]
    [InlineData(Dtype.BF16, 8e-3)]
    public void Merge_EveryWeight_IsBasePlusScaledProduct(Dtype dtype, double relativeTolerance)
    {
        var source = TestModels.Write(folder["base"], shards: 2);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config, rank: 3, alpha: 6);
        File.WriteAllText(Path.Combine(source.Path, "README.md"), "a model card");

        var merged = AdapterMerge.Merge(source, adapter, folder["merged"], dtype, TestContext.Current.CancellationToken);

        Assert.Equal(dtype, merged.Config.Dtype);
        Assert.Equal(source.ChatTemplate, merged.ChatTemplate);
        Assert.Equal("a model card", File.ReadAllText(Path.Combine(merged.Path, "README.md")));
        Assert.Equal(
            ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"],
            Directory.GetFiles(merged.Path).Select(Path.GetFileName).Order());
        using var before = source.OpenWeights();
        using var after = merged.OpenWeights();
        foreach (var (name, shape) in DecoderTensors.Of(source.Config))
        {
            var expected = Expected(before.ReadFloats(name), shape, adapter, name);
            var actual = after.ReadFloats(name);
            for (var i = 0; i < expected.Length; i++)
                Assert.True(
                    Math.Abs(expected[i] - actual[i]) <= relativeTolerance * Math.Max(1, Math.Abs(expected[i])),
                    $"{name}[{i}]: {expected[i]} expected, {actual[i]} found");
        }
    }

    [Fact]
    public void Merge_AdapterOfAnotherShape_NamesModulesAndWritesNothing()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config with { IntermediateSize = 128, LayerCount = 3 });
        var error = Assert.Throws<InvalidModelFileException>(
            () => AdapterMerge.Merge(source, adapter, folder["merged"], cancellationToken: TestContext.Current.CancellationToken));
        Assert.Contains(
            error.Errors,
            message => message.Contains("\"model.layers.2.self_attn.q_proj\" is not a linear module", StringComparison.Ordinal));
        Assert.Contains(
            error.Errors,
            message => message.Contains("\"model.layers.0.mlp.down_proj\": B A is [64, 128], the weight of", StringComparison.Ordinal));
        Assert.Equal(7 + (2 * 3), error.Errors.Count);
        Assert.False(Directory.Exists(folder["merged"]));
    }

    [Fact]
    public void Merge_IntoAFolderWithFiles_IsRefused()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config);
        var error = Assert.Throws<IOException>(
            () => AdapterMerge.Merge(source, adapter, source.Path, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Contains("is not empty", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Merge_Cancelled_LeavesNothing()
    {
        var source = TestModels.Write(folder["base"]);
        var adapter = TestModels.WriteAdapter(folder["adapter"], source.Config);
        Assert.Throws<OperationCanceledException>(
            () => AdapterMerge.Merge(source, adapter, folder["merged"], cancellationToken: new CancellationToken(canceled: true)));
        Assert.Equal(["adapter", "base"], Directory.GetDirectories(folder.Path).Select(Path.GetFileName).Order());
    }

    // Doubles and the definition, element by element.
    private static double[] Expected(float[] weight, long[] shape, AdapterFolder adapter, string name)
    {
        var result = Array.ConvertAll(weight, value => (double)value);
        if (!adapter.Modules.TryGetValue(name[..^".weight".Length], out var module)) return result;
        using var tensors = adapter.OpenWeights();
        var (a, b) = (tensors.ReadFloats(module.A.Name), tensors.ReadFloats(module.B.Name));
        var (rank, columns) = (adapter.Config.Rank, (int)shape[1]);
        for (var row = 0; row < shape[0]; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                for (var k = 0; k < rank; k++)
                    result[(row * columns) + column] += adapter.Config.Scale * b[(row * rank) + k] * a[(k * columns) + column];
            }
        }

        return result;
    }
}
