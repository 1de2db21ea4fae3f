using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;
using ModelOps.Quantization;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>What llama.cpp computes, watched, and what quantizers make of it, on the bundled model.</summary>
public sealed class ImportanceMatrixTests(ImportanceMatrixTests.Wordsmith wordsmith) : IClassFixture<ImportanceMatrixTests.Wordsmith>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Collect_FirstLayer_IsTheSquareOfItsInput()
    {
        // Without positions mixed in, the first projection's input is the embedding's row, normalized.
        using var collector = new ImportanceCollector(wordsmith.Model, threads: 1);
        int[] tokens = [40, 41, 300, 41];
        collector.Add(tokens);
        var matrix = collector.Matrix();

        var columns = matrix.Matrices["blk.0.attn_q.weight"];
        using var weights = wordsmith.Folder.OpenWeights();
        var (embedding, norm) = (weights.ReadFloats(DecoderTensors.Embedding), weights.ReadFloats("model.layers.0.input_layernorm.weight"));
        var width = wordsmith.Folder.Config.HiddenSize;
        var expected = new double[width];
        foreach (var token in tokens)
        {
            var row = embedding.AsSpan(token * width, width);
            var square = 0.0;
            foreach (var value in row) square += value * (double)value;
            var scale = 1 / Math.Sqrt((square / width) + wordsmith.Folder.Config.RmsNormEpsilon);
            for (var i = 0; i < width; i++) expected[i] += Math.Pow(row[i] * scale * norm[i], 2);
        }
        for (var i = 0; i < width; i++) Assert.Equal(expected[i], columns.SumOfSquares[i], Math.Max(1e-5, expected[i] * 1e-4));
        Assert.Equal(4, columns.Count);
        Assert.Equal(wordsmith.Folder.Config.LayerCount * 7, matrix.Matrices.Count);
        Assert.Equal((1, 4L), (matrix.Texts, matrix.Tokens));
    }

    [Theory]
    [InlineData(QuantizationType.Q4_0)]
    [InlineData(QuantizationType.Q2_K)]
    public void Quantize_WithImportance_DivergesLess(QuantizationType type)
    {
        var (plain, weighed) = (wordsmith.Path($"{type}-plain.gguf"), wordsmith.Path($"{type}-weighed.gguf"));
        GgufQuantizer.Quantize(wordsmith.Gguf, plain, type, 1, cancellationToken: Cancellation);
        GgufQuantizer.Quantize(wordsmith.Gguf, weighed, type, 1, wordsmith.Importance, Cancellation);

        var without = QualityComparison.Compare(wordsmith.Gguf, plain, wordsmith.Held, 1, cancellationToken: Cancellation);
        var with = QualityComparison.Compare(wordsmith.Gguf, weighed, wordsmith.Held, 1, cancellationToken: Cancellation);

        TestContext.Current.SendDiagnosticMessage($"{type}: {without} {with}");
        Assert.True(with.KlDivergence < without.KlDivergence, $"{type}: {with.KlDivergence} with, {without.KlDivergence} without");
    }

    [Fact]
    public void Quantize_LowBitsWithoutImportance_IsRefusedAndWithItWorks()
    {
        var target = wordsmith.Path("low.gguf");
        var error = Assert.Throws<GgmlException>(() => GgufQuantizer.Quantize(wordsmith.Gguf, target, QuantizationType.IQ2_XXS, 1, cancellationToken: Cancellation));
        Assert.Contains("needs an importance matrix", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(target));

        var summary = GgufQuantizer.Quantize(wordsmith.Gguf, target, QuantizationType.IQ2_XXS, 1, wordsmith.Importance, Cancellation);

        Assert.True(summary.TensorsPerType.ContainsKey("iq2_xxs"), string.Join(", ", summary.TensorsPerType));
        using var model = LlamaModel.Load(target, new LlamaModelOptions { CheckTensors = true });
    }

    [Fact]
    public void Quantize_ImportanceOfAnotherModel_IsRefusedByLlamaCpp()
    {
        var other = wordsmith.Importance with
        {
            Matrices = wordsmith.Importance.Matrices.ToDictionary(entry => entry.Key, entry => new ColumnImportance(entry.Value.SumOfSquares[..^1], entry.Value.Count)),
        };
        var error = Assert.Throws<GgmlException>(
            () => GgufQuantizer.Quantize(wordsmith.Gguf, wordsmith.Path("other.gguf"), QuantizationType.Q4_0, 1, other, Cancellation));
        Assert.Contains("is different from tensor size", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_File_IsInLlamaCppsFormat()
    {
        var path = wordsmith.Path(ImportanceMatrixFile.Name);
        ImportanceMatrixFile.Write(path, wordsmith.Importance, "words@1", Cancellation);

        using var file = GgufFile.Open(path);
        Assert.Equal("imatrix", file.Get<string>("general.type"));
        Assert.Equal(["words@1"], file.Get<string[]>("imatrix.datasets"));
        Assert.Equal((uint)wordsmith.Importance.Texts, file.Get<uint>("imatrix.chunk_count"));
        Assert.Equal([wordsmith.Folder.Config.HiddenSize, 1L], file.Tensors["blk.0.attn_q.weight.in_sum2"].Dimensions);
        Assert.Equal([1L, 1], file.Tensors["blk.0.attn_q.weight.counts"].Dimensions);
    }

    [Fact]
    public void Add_NothingOrNoSuchToken_IsRefused()
    {
        using var collector = new ImportanceCollector(wordsmith.Model, threads: 1);
        Assert.Throws<ArgumentException>(() => collector.Add([]));
        Assert.Throws<ArgumentOutOfRangeException>(() => collector.Add([-1]));
        Assert.Throws<InvalidOperationException>(collector.Matrix);
    }

    /// <summary>The bundled model as GGUF, and the importance matrix of half of its questions.</summary>
    public sealed class Wordsmith : IDisposable
    {
        private readonly TempFolder folder = new();

        public Wordsmith()
        {
            Folder = ModelFolder.Open(System.IO.Path.Combine(TestPaths.Repository, "samples/models/wordsmith"));
            Gguf = Path("wordsmith.gguf");
            GgufConversion.Convert(Folder, Gguf, GgufWeightType.F32, new GgufDescription { Name = "wordsmith" });
            Model = LlamaModel.Load(Gguf);
            var texts = File.ReadLines(System.IO.Path.Combine(TestPaths.Repository, "samples/datasets/wordsmith-qa.jsonl")).Take(48)
                .Select(line => Model.Tokenize(line, addSpecial: false, parseSpecial: false)).ToArray();
            Held = texts[32..];
            using var collector = new ImportanceCollector(Model, threads: 1);
            foreach (var text in texts[..32]) collector.Add(text);
            Importance = collector.Matrix();
        }

        public ModelFolder Folder { get; }

        public string Gguf { get; }

        public LlamaModel Model { get; }

        public ImportanceMatrix Importance { get; }

        public IReadOnlyList<int[]> Held { get; }

        public string Path(string name) => folder[name];

        public void Dispose()
        {
            Model.Dispose();
            folder.Dispose();
        }
    }
}
