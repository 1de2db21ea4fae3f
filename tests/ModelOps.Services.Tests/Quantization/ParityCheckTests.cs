using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;
using ModelOps.ModelFiles.Peft;
using ModelOps.Quantization;

namespace ModelOps.Services.Tests.Quantization;

/// <summary>The trainer beside llama.cpp, with faults planted in each step between them.</summary>
public sealed class ParityCheckTests : IDisposable
{
    private static readonly GgufDescription Description = new() { Name = "tiny" };

    private static readonly string[] texts =
    [
        "<|im_start|>user\nWhat does the word mean?<|im_end|>\n<|im_start|>assistant\nIt means that there is a thing.<|im_end|>\n",
        "The quick brown fox jumps over the lazy dog.", "In 1984 and 2026 the answer was the same: 42 apples.",
    ];

    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("llama")]
    [InlineData("gemma2")]
    public void Compare_MergedAdapter_AgreesWithTheTrainer(string kind)
    {
        var subject = Subject(TestFamilies.Of(kind));

        var parity = Compare(subject, [.. Enumerable.Repeat(texts, 20).SelectMany(text => text)]);

        Assert.Equal(ParityCheck.MaxPrompts, parity.Prompts);
        Assert.True(parity.Tokens > 500, $"{parity.Tokens} tokens");
        Assert.InRange(parity.MaxLogitDifference, 0, parity.Tolerance);
        Assert.InRange(parity.TokenAgreement, 0.99, 1);
    }

    [Fact]
    public void Compare_AnotherTemplate_IsNamedWithThePlace()
    {
        var subject = Subject(TestModels.TinyConfig);
        Rewrite(subject.Exported, (key, value) => key == "tokenizer.chat_template" ? ((string)value).Replace("'\\n'", "' '", StringComparison.Ordinal) : value);

        var error = Assert.Throws<ParityException>(() => Compare(subject));

        Assert.Matches("the chat template in the GGUF file is not the model's own: they differ at character [0-9]+", error.Message);
    }

    [Fact]
    public void Compare_AnotherEndOfText_IsNamed()
    {
        var subject = Subject(TestModels.TinyConfig);
        Rewrite(subject.Exported, (key, value) => key switch
        {
            "tokenizer.ggml.eos_token_id" => 100u,
            "tokenizer.ggml.tokens" => ((string[])value).Select(token => token == "<|im_end|>" ? "<|end of turn|>" : token).ToArray(), // llama.cpp knows the other by its name
            _ => value,
        });

        Assert.Equal("the model ends an answer with token 2; the GGUF file does not", Assert.Throws<ParityException>(() => Compare(subject)).Message);
    }

    [Fact]
    public void Compare_AnotherTokenizer_IsNamedWithTheTokenAndText()
    {
        var subject = Subject(TestModels.TinyConfig);
        Rewrite(subject.Exported, (key, value) => key == "tokenizer.ggml.merges" ? ((string[])value)[..(((string[])value).Length / 2)] : value);

        var error = Assert.Throws<ParityException>(() => Compare(subject));

        Assert.Matches("the tokenizers differ at token [0-9]+: the model's own has [0-9]+, the GGUF file's [0-9]+, in '", error.Message);
    }

    [Fact]
    public void Compare_WrongMerge_IsBlamedOnTheMerge()
    {
        var subject = Subject(TestModels.TinyConfig);
        var other = TestModels.WriteAdapter(folder["other"], TestModels.TinyConfig, seed: 99);
        var merged = AdapterMerge.Merge(subject.Base, other, folder["wrong"], cancellationToken: Cancellation);
        GgufConversion.Convert(merged, subject.Exported, GgufWeightType.F32, Description, Cancellation);

        var error = Assert.Throws<ParityException>(() => Compare(subject with { Merged = merged }));

        Assert.Contains("a logit differs by", error.Message, StringComparison.Ordinal);
        Assert.Contains("merging the adapter changed it", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Compare_WrongConversion_IsBlamedOnTheConversion()
    {
        var subject = Subject(TestModels.TinyConfig);
        Rewrite(subject.Exported, (key, value) => key == "llama.rope.freq_base" ? 500f : value);

        var error = Assert.Throws<ParityException>(() => Compare(subject));

        Assert.Contains("merging the adapter did not change it", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("the conversion to GGUF did", error.Message, StringComparison.Ordinal);
    }

    private ParityResult Compare(ParitySubject subject, IReadOnlyList<string>? given = null) => ParityCheck.Compare(subject, given ?? texts, threads: 1, Cancellation);

    private ParitySubject Subject(ModelConfig config)
    {
        var source = TestModels.Write(folder["base"], config);
        var adapter = TestModels.WriteAdapter(folder["adapter"], config);
        var merged = AdapterMerge.Merge(source, adapter, folder["merged"], cancellationToken: Cancellation);
        GgufConversion.Convert(merged, folder["merged.gguf"], GgufWeightType.F32, Description, Cancellation);
        return new(source, adapter, merged, folder["merged.gguf"]);
    }

    /// <summary>The same file with other metadata.</summary>
    private void Rewrite(string path, Func<string, object, object> change)
    {
        var original = folder["original.gguf"];
        File.Move(path, original);
        using var file = GgufFile.Open(original);
        var tensors = file.Tensors.Values.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Dimensions, stream =>
        {
            using var bytes = file.OpenTensor(tensor.Name);
            bytes.CopyTo(stream);
        }));
        GgufWriter.Write(path, file.Metadata.Select(entry => KeyValuePair.Create(entry.Key, change(entry.Key, entry.Value))), [.. tensors], Cancellation);
    }
}
