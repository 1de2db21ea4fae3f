using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Gguf;
using ModelOps.Services.Tests.Ggml;

namespace ModelOps.Services.Tests.Gguf;

/// <summary>Models in several files, read here and by the real llama.cpp.</summary>
public sealed class GgufSplitTests : IDisposable
{
    private const int Parts = 3;
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Open_AnyPart_IsTheWholeModel(int number)
    {
        var whole = Split();
        using var expected = GgufFile.Open(whole);
        using var actual = GgufFile.Open(PartOf(number));

        Assert.Equal(expected.Tensors.Keys.Order(), actual.Tensors.Keys.Order());
        Assert.Equal("llama", actual.Get<string>("general.architecture"));
        Assert.Equal(expected.BitsPerWeight, actual.BitsPerWeight);
        foreach (var tensor in expected.Tensors.Values)
        {
            var (left, right) = (new byte[tensor.Length], new byte[tensor.Length]);
            expected.Read(tensor.Name, left);
            actual.Read(tensor.Name, right);
            Assert.Equal(left, right);
            using var mapped = actual.OpenTensor(tensor.Name);
            using var copy = new MemoryStream();
            mapped.CopyTo(copy);
            Assert.Equal(left, copy.ToArray());
        }
        Assert.Throws<KeyNotFoundException>(() => actual.OpenTensor("none"));
    }

    [Fact]
    public void Load_FirstPart_LlamaCppComputesAndQuantizesTheWhole()
    {
        var whole = Split();
        Assert.Equal(PartOf(1), GgufFiles.ModelIn(folder["parts"]));

        Assert.Equal(Logits(whole), Logits(PartOf(1)));
        GgufQuantizer.Quantize(whole, folder["whole-q8.gguf"], QuantizationType.Q8_0, 1, cancellationToken: Cancellation);
        var summary = GgufQuantizer.Quantize(PartOf(1), folder["parts-q8.gguf"], QuantizationType.Q8_0, 1, cancellationToken: Cancellation);
        Assert.Equal(Logits(folder["whole-q8.gguf"]), Logits(folder["parts-q8.gguf"]));
        Assert.InRange(summary.BitsPerWeight, 8.5, 9);
    }

    [Fact]
    public void Open_PartsThatAreMissing_NamesEach()
    {
        Split();
        File.Delete(PartOf(1));
        File.Delete(PartOf(3));
        var error = Assert.Throws<InvalidModelFileException>(() => GgufFile.Open(PartOf(2)));
        Assert.Equal(["the part m-00001-of-00003.gguf is missing", "the part m-00003-of-00003.gguf is missing"], error.Errors);
    }

    [Fact]
    public void Open_PartsOfAnotherOrder_SaysWhatTheyAre()
    {
        Split();
        File.Copy(PartOf(3), PartOf(2), overwrite: true);
        var error = Assert.Throws<InvalidModelFileException>(() => GgufFile.Open(PartOf(1)));
        Assert.Contains("m-00002-of-00003.gguf says that it is part 3 of 3", error.Errors);
        Assert.Contains(error.Errors, message => message.EndsWith("is in several parts", StringComparison.Ordinal));
    }

    [Fact]
    public void Open_PartUnderAnotherName_SaysHowItMustBeCalled()
    {
        Split();
        File.Move(PartOf(2), folder["renamed.gguf"]);
        var error = Assert.Throws<InvalidModelFileException>(() => GgufFile.Open(folder["renamed.gguf"]));
        Assert.Contains("it is one of 3 parts and not called NAME-00001-of-00003.gguf", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MutatedPart_IsRefusedOrReadable()
    {
        Split(new TinyGguf { Width = 32, Heads = 2, KeyValueHeads = 2, HiddenWidth = 32, Layers = 1 });
        var (valid, random) = (File.ReadAllBytes(PartOf(2)), new Random(43));
        var (refused, opened) = (0, 0);
        for (var round = 0; round < 300; round++)
        {
            File.WriteAllBytes(PartOf(2), Mutations.Apply(random, valid));
            try
            {
                using var file = GgufFile.Open(PartOf(1));
                foreach (var tensor in file.Tensors.Values) file.Read(tensor.Name, new byte[tensor.Length]);
                opened++;
            }
            catch (InvalidModelFileException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 1, 300);
        Assert.Equal(300, refused + opened);
    }

    private string PartOf(int number) => Path.Combine(folder["parts"], $"m-{number:D5}-of-{Parts:D5}.gguf");

    /// <summary>Writes a model whole and, as gguf-split does, in parts with the metadata in the first.</summary>
    private string Split(TinyGguf? model = null)
    {
        var whole = folder["whole.gguf"];
        (model ?? new TinyGguf()).Write(whole);
        Directory.CreateDirectory(folder["parts"]);
        using var file = GgufFile.Open(whole);
        foreach (var (index, tensors) in file.Tensors.Values.Chunk((file.Tensors.Count + Parts - 1) / Parts).Index())
        {
            KeyValuePair<string, object>[] split =
                [new("split.no", (ushort)index), new("split.count", (ushort)Parts), new("split.tensors.count", file.Tensors.Count)];
            GgufWriter.Write(
                PartOf(index + 1),
                index == 0 ? [.. file.Metadata, .. split] : split,
                [.. tensors.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Dimensions, stream =>
                {
                    using var bytes = file.OpenTensor(tensor.Name);
                    bytes.CopyTo(stream);
                }))],
                Cancellation);
        }
        return whole;
    }

    private static float[] Logits(string path)
    {
        using var model = LlamaModel.Load(path);
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1 });
        return [.. evaluator.Logits([40, 41, 50, 61]).Cast<float>()];
    }
}
