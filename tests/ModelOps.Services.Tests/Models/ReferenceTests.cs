using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.Models;

namespace ModelOps.Services.Tests.Models;

/// <summary>Models and adapters as transformers and peft save them, with the logits that those compute: tests/references.</summary>
public sealed class ReferenceTests : IDisposable
{
    private static readonly string references = Path.Combine(TestPaths.Repository, "tests", "references");
    private readonly TempFolder folder = new();

    public static TheoryData<string> Families => [.. Directory.GetDirectories(Path.Combine(references, "families")).Select(path => Path.GetFileName(path)).Order()];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_SavedByTransformers_EqualItsOwn(string family)
    {
        using var model = CausalLanguageModel.Load(Open(family));

        AssertLogits(Expected(family, "expected.safetensors"), model.Logits(Tokens(family)));
    }

    [Theory]
    [InlineData("llama2", "lora")]
    [InlineData("llama2", "rslora")]
    [InlineData("llama2", "dora")]
    [InlineData("qwen3", "lora")]
    [InlineData("qwen3", "rslora")]
    [InlineData("qwen3", "dora")]
    [InlineData("gemma2", "lora")]
    [InlineData("gemma2", "rslora")]
    [InlineData("gemma2", "dora")]
    public void LoadAdapter_SavedByPeft_GivesItsLogitsAndMergesToThem(string family, string kind)
    {
        var files = Open(family);
        var adapter = AdapterFolder.Open(Path.Combine(references, "families", family, kind));
        var expected = Expected(family, $"{kind}/expected.safetensors");
        using var model = CausalLanguageModel.Load(files);
        model.LoadAdapter(adapter);

        AssertLogits(expected, model.Logits(Tokens(family)));

        using var merged = CausalLanguageModel.Load(AdapterMerge.Merge(files, adapter, folder["merged"], cancellationToken: TestContext.Current.CancellationToken));
        AssertLogits(expected, merged.Logits(Tokens(family)));
    }

    private ModelFolder Open(string family)
    {
        foreach (var name in (string[])[ModelConfig.FileName, ModelFolder.WeightsFile])
        {
            Directory.CreateDirectory(folder[family]);
            File.Copy(Path.Combine(references, "families", family, name), folder[$"{family}/{name}"]);
        }
        File.Copy(Path.Combine(references, "tokenizers", "gpt2", ModelFolder.TokenizerFile), folder[$"{family}/{ModelFolder.TokenizerFile}"]);
        return ModelFolder.Open(folder[family]);
    }

    private static int[] Tokens(string family)
    {
        using var file = SafetensorsFile.Open(Path.Combine(references, "families", family, "expected.safetensors"));
        var bytes = new byte[file.Tensors["tokens"].Length];
        file.Read("tokens", bytes);
        return [.. bytes.Chunk(sizeof(long)).Select(chunk => (int)BitConverter.ToInt64(chunk))];
    }

    private static float[] Expected(string family, string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(references, "families", family, name));
        return file.ReadFloats("logits");
    }

    private static void AssertLogits(float[] expected, float[,] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.True(expected.Max(Math.Abs) > 1, "the logits are too small to tell anything");
        var difference = expected.Zip(actual.Cast<float>(), (one, other) => Math.Abs(one - other)).Max();
        Assert.InRange(difference, 0, 3e-5); // seen: 7.7e-6
    }
}
