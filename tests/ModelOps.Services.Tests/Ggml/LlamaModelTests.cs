using System.Text;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class LlamaModelTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    [Fact]
    public void Load_TinyModel_TellsWhatTheFileSays()
    {
        var model = fixture.Model;

        Assert.Equal(512, model.ContextLength);
        Assert.Equal(259, model.VocabularySize);
        Assert.Equal(259 * 256 * 2 + 256 + 2 * (2 * 256 + 2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 512), model.ParameterCount);
        Assert.Equal(model.ParameterCount * sizeof(float), model.Size);
        Assert.Equal("tiny", model.Metadata["general.name"]);
        Assert.Equal(TinyGguf.ChatTemplate, model.ChatTemplate);
        Assert.Equal(new SpecialToken(TinyGguf.BeginOfTurn, "<|im_start|>"), model.BosToken);
        Assert.Equal(new SpecialToken(TinyGguf.EndOfTurn, "<|im_end|>"), model.EosToken);
        Assert.False(model.AddsBosToken);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("Zwölf Boxkämpfer 🥊 jagen Viktor\0quer\r\n")]
    [InlineData("lone \ud83e surrogate")]
    public void Tokenize_AnyText_ComesBackByBytes(string text)
    {
        var tokens = fixture.Model.Tokenize(text, addSpecial: true, parseSpecial: false);

        Assert.Equal(Encoding.UTF8.GetBytes(text), tokens.SelectMany(fixture.Model.TokenBytes));
    }

    [Fact]
    public void Tokenize_SpecialText_IsATokenOnlyIfAsked()
    {
        Assert.Equal([TinyGguf.EndOfTurn], fixture.Model.Tokenize("<|im_end|>", addSpecial: false, parseSpecial: true));
        Assert.Equal("<|im_end|>".Length, fixture.Model.Tokenize("<|im_end|>", addSpecial: false, parseSpecial: false).Length);
    }

    [Fact]
    public void IsEndOfGeneration_EosAndOther_Differ()
    {
        Assert.True(fixture.Model.IsEndOfGeneration(TinyGguf.EndOfTurn));
        Assert.False(fixture.Model.IsEndOfGeneration(100));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(259)]
    public void TokenBytes_TokenOutsideTheVocabulary_Throws(int token)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Model.TokenBytes(token));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Model.IsEndOfGeneration(token));
    }

    [Fact]
    public void Load_VocabularyOnly_TokenizesAndRefusesToCompute()
    {
        using var model = LlamaModel.Load(fixture.ModelPath, new LlamaModelOptions { VocabularyOnly = true });

        Assert.Equal(fixture.Model.Tokenize("hello", true, false), model.Tokenize("hello", true, false));
        Assert.Throws<InvalidOperationException>(() => new LlamaEvaluator(model));
    }

    [Fact]
    public void Tokenize_AfterDispose_Throws()
    {
        var model = LlamaModel.Load(fixture.ModelPath);
        model.Dispose();

        Assert.Throws<ObjectDisposedException>(() => model.Tokenize("hello", true, false));
        Assert.Throws<ObjectDisposedException>(() => new LlamaEvaluator(model));
    }

    [Fact]
    public void Load_NoFile_NamesIt()
    {
        var path = fixture.InFolder("none.gguf");

        Assert.Equal(path, Assert.Throws<FileNotFoundException>(() => LlamaModel.Load(path)).FileName);
    }

    [Fact]
    public void Load_OtherKindsOfFile_AreRefused()
    {
        foreach (var bytes in new[] { [], "GGUF"u8.ToArray(), Encoding.UTF8.GetBytes(new string('x', 1000)) })
            Assert.Contains("no GGUF file", LoadError(bytes), StringComparison.Ordinal);

        var old = File.ReadAllBytes(fixture.ModelPath);
        old[4] = 1;
        Assert.Contains("version 1", LoadError(old), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_CutOffAnywhere_IsRefused()
    {
        var whole = File.ReadAllBytes(fixture.ModelPath);

        int[] lengths = [30, 100, 500, 2000, 5000, whole.Length - 1, .. Enumerable.Range(1, 60).Select(i => whole.Length * i / 61)];
        foreach (var length in lengths)
            Assert.Contains(fixture.Folder, LoadError(whole[..length]), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ModelWithoutItsWeights_HasTheReasonOfLlama()
    {
        var bytes = File.ReadAllBytes(fixture.ModelPath);
        var name = bytes.AsSpan().IndexOf("blk.1.ffn_down.weight"u8);
        bytes[name] = (byte)'x';

        Assert.Contains("blk.1.ffn_down.weight", LoadError(bytes), StringComparison.Ordinal);
    }

    private string LoadError(byte[] bytes)
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        File.WriteAllBytes(path, bytes);
        return Assert.Throws<GgmlException>(() => LlamaModel.Load(path)).Message;
    }
}
