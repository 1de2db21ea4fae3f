using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// A GGUF model loaded by llama.cpp. Thread-safe. Engines and evaluators made from it keep its weights in memory until they are disposed
/// themselves, in whatever order.
/// </summary>
public sealed unsafe class LlamaModel : IDisposable
{
    private readonly ModelHandle handle;
    private readonly LlamaVocabulary vocabulary;
    private readonly bool vocabularyOnly;

    private LlamaModel(string path, ModelHandle handle, bool vocabularyOnly, IReadOnlyList<GgufTensor> tensors)
    {
        this.handle = handle;
        this.vocabularyOnly = vocabularyOnly;
        Path = path;
        vocabulary = new LlamaVocabulary(NativeLlama.Vocabulary(handle));
        ContextLength = NativeLlama.TrainedContext(handle);
        ParameterCount = checked((long)NativeLlama.ParameterCount(handle));
        Size = checked((long)NativeLlama.ModelSize(handle));
        Description = Text(NativeLlama.Description);
        Metadata = ReadMetadata();
        ChatTemplate = Marshal.PtrToStringUTF8(NativeLlama.ChatTemplate(handle, null));
        BosToken = Special(vocabulary.Bos);
        EosToken = Special(vocabulary.Eos);
        TensorShapes = tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        Pooling = (Pooling)int.Parse(Metadata.GetValueOrDefault($"{Architecture}.pooling_type", "0"), CultureInfo.InvariantCulture);
        EmbeddingWidth = NativeLlama.EmbeddingWidth(handle);
        ClassCount = (int)NativeLlama.ClassCount(handle);
        RerankTemplate = Marshal.PtrToStringUTF8(NativeLlama.ChatTemplate(handle, "rerank"));
        Recurs = NativeLlama.IsRecurrent(handle) || NativeLlama.IsHybrid(handle);
        Generates = !vocabularyOnly && Pooling != Pooling.Rank && !NativeLlama.HasEncoder(handle) && !NativeLlama.IsDiffusion(handle)
            && Metadata.GetValueOrDefault($"{Architecture}.attention.causal") != "false" && !IsEncoder(Architecture);
    }

    public string Path { get; }

    /// <summary>llama.cpp's words, such as "llama 135M Q8_0".</summary>
    public string Description { get; }

    /// <summary>Tokens per sequence that the model was trained for; 0 if it was loaded for its vocabulary only.</summary>
    public int ContextLength { get; }

    public int VocabularySize => vocabulary.Size;

    public long ParameterCount { get; }

    /// <summary>Whether it continues texts: <see cref="BatchingEngine"/>.</summary>
    public bool Generates { get; }

    /// <summary>Whether it has vectors for texts, by a pooling of its own: <see cref="EmbeddingEngine"/>.</summary>
    public bool Embeds => !vocabularyOnly && Pooling is Pooling.Mean or Pooling.Class or Pooling.Last;

    /// <summary>Whether it scores documents for a query: <see cref="RerankEngine"/>.</summary>
    public bool Ranks => !vocabularyOnly && Pooling is Pooling.Rank;

    /// <summary>Bytes of all tensors.</summary>
    public long Size { get; }

    /// <summary>The file's metadata as text; arrays, such as the vocabulary, are left out.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Jinja, as the file has it; null if it has none.</summary>
    public string? ChatTemplate { get; }

    public SpecialToken? BosToken { get; }

    public SpecialToken? EosToken { get; }

    /// <summary>Whether <see cref="Tokenize"/> with <c>addSpecial</c> begins with <see cref="BosToken"/>.</summary>
    public bool AddsBosToken
    {
        get
        {
            using var lease = new Lease(handle);
            return vocabulary.AddsBos;
        }
    }

    /// <summary>What contexts are made from.</summary>
    /// <exception cref="InvalidOperationException">Only the vocabulary was loaded, or the model does not continue texts.</exception>
    internal ModelHandle Weights
    {
        get
        {
            if (vocabularyOnly)
                throw new InvalidOperationException($"{Path} was loaded with {nameof(LlamaModelOptions.VocabularyOnly)}: no weights.");
            return NativeLlama.HasEncoder(handle)
                ? throw new InvalidOperationException($"{Path} has an encoder: only decoder models are supported.")
                : handle;
        }
    }

    internal LlamaVocabulary Vocabulary => vocabulary;

    internal Pooling Pooling { get; }

    /// <summary>Whether its memory is a state, as that of Mamba, which does not forget single tokens.</summary>
    internal bool Recurs { get; }

    /// <summary>Numbers of its vectors.</summary>
    internal int EmbeddingWidth { get; }

    /// <summary>Numbers of its scores.</summary>
    internal int ClassCount { get; }

    /// <summary>With {query} and {document}; null if it has none.</summary>
    internal string? RerankTemplate { get; }

    internal string Architecture => Metadata["general.architecture"];

    /// <summary>By name, with the row length first as ggml has it.</summary>
    internal IReadOnlyDictionary<string, long[]> TensorShapes { get; }

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgmlException">It is no model that llama.cpp can load; the message has llama.cpp's reason.</exception>
    public static LlamaModel Load(string path, LlamaModelOptions? options = null)
    {
        GgmlRuntime.Initialize();
        options ??= new LlamaModelOptions();
        var tensors = GgufHeader.Read(path);

        var parameters = NativeLlama.ModelDefaults();
        parameters.VocabularyOnly = Convert.ToByte(options.VocabularyOnly);
        parameters.CheckTensors = Convert.ToByte(options.CheckTensors);
        var model = new ModelHandle(NativeLog.Capture(() => NativeLlama.LoadModel(path, parameters), out var problems));
        if (model.IsInvalid) throw new GgmlException($"llama.cpp cannot load {path}: {NativeLog.Reason(problems)}");
        try
        {
            return new LlamaModel(path, model, options.VocabularyOnly, tensors);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <param name="addSpecial">Adds what the model wants around a text, such as a begin-of-text token.</param>
    /// <param name="parseSpecial">Whether <c>&lt;|im_end|&gt;</c> in the text is that token, or just those characters.</param>
    public int[] Tokenize(string text, bool addSpecial, bool parseSpecial)
    {
        using var lease = new Lease(handle);
        return vocabulary.Tokenize(text, addSpecial, parseSpecial);
    }

    /// <summary>The bytes of a token, control tokens included; a token may be a part of a character.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such token.</exception>
    public byte[] TokenBytes(int token)
    {
        using var lease = new Lease(handle);
        return vocabulary.Bytes(token, renderControl: true);
    }

    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such token.</exception>
    public bool IsEndOfGeneration(int token)
    {
        using var lease = new Lease(handle);
        return vocabulary.IsEndOfGeneration(token);
    }

    public void Dispose() => handle.Dispose();

    // Encoders without a decoder, which have no logits; not all of their files say that attention is not causal.
    private static bool IsEncoder(string architecture) =>
        architecture.Contains("bert", StringComparison.Ordinal) || architecture.Contains("embed", StringComparison.Ordinal);

    private SpecialToken? Special(int? token) =>
        token is { } id ? new SpecialToken(id, Encoding.UTF8.GetString(vocabulary.Bytes(id, renderControl: true))) : null;

    private Dictionary<string, string> ReadMetadata()
    {
        var count = NativeLlama.MetadataCount(handle);
        var metadata = new Dictionary<string, string>(count);
        for (var i = 0; i < count; i++)
        {
            var index = i;
            metadata[Text((model, buffer, length) => NativeLlama.MetadataKey(model, index, buffer, length))] =
                Text((model, buffer, length) => NativeLlama.MetadataValue(model, index, buffer, length));
        }
        return metadata;
    }

    /// <summary>Reads a string from one of the functions that, like snprintf, answer with the length they would need.</summary>
    private string Text(ReadText read)
    {
        var buffer = new byte[256];
        while (true)
        {
            int length;
            fixed (byte* start = buffer)
                length = read(handle, start, (nuint)buffer.Length);
            if (length < buffer.Length) return Encoding.UTF8.GetString(buffer, 0, Math.Max(length, 0));
            buffer = new byte[length + 1];
        }
    }

    private delegate int ReadText(ModelHandle model, byte* buffer, nuint length);

    /// <summary>Keeps the handle open during calls that take the vocabulary's pointer; refuses them once the model is disposed.</summary>
    private readonly ref struct Lease
    {
        private readonly ModelHandle held;

        public Lease(ModelHandle model)
        {
            var added = false;
            model.DangerousAddRef(ref added);
            held = model;
        }

        public void Dispose() => held.DangerousRelease();
    }
}
