using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Quantization;

/// <summary>What is quantized, into whatever types.</summary>
public abstract record QuantizationSource
{
    private QuantizationSource()
    {
    }

    /// <param name="Base">Folder of the base model, Hugging Face layout.</param>
    /// <param name="Adapter">Folder of an adapter in PEFT layout; null: the base as it is.</param>
    /// <param name="Description">What the GGUF file says about itself and its lineage.</param>
    public sealed record Trained(string Base, string? Adapter, GgufDescription Description) : QuantizationSource;

    /// <param name="Path">A GGUF file of F32, F16 or BF16 weights.</param>
    public sealed record Gguf(string Path) : QuantizationSource;
}

public sealed record PreparationRequest
{
    public required QuantizationSource Source { get; init; }

    /// <summary>Conversations to compare on; none: plain greetings.</summary>
    public required IReadOnlyList<IReadOnlyList<ChatMessage>> Conversations { get; init; }

    /// <summary>Conversations that an importance matrix is computed from; none: without one.</summary>
    public IReadOnlyList<IReadOnlyList<ChatMessage>> Calibration { get; init; } = [];

    /// <summary>An empty folder for what lies between and the prepared file.</summary>
    public required string Folder { get; init; }

    public required int Threads { get; init; }
}

/// <summary>A model as an unquantized GGUF file: merged, converted and compared once, for any number of types.</summary>
/// <param name="Texts">The conversations as the model's chat template writes them.</param>
/// <param name="Parity">Null for a source that the trainer does not read.</param>
public sealed record PreparedModel(string Gguf, IReadOnlyList<string> Texts, ParityResult? Parity, ImportanceMatrix? Importance);

/// <param name="Quality">Of the quantized model beside its unquantized self.</param>
public sealed record QuantizationOutcome(QuantizationSummary Summary, QualityReport Quality, ModelSpeed Speed);

/// <summary>merge → convert to GGUF → compare with the trainer, once; then for each type quantize → compare with the source → time.</summary>
public static class GgufQuantization
{
    private static readonly string[] greetings = ["Hello! Who are you?", "What can you do?", "Write one sentence about rivers.", "List three numbers.", "Thank you. Goodbye!"];

    /// <param name="stage">Told the name of each stage as it begins.</param>
    /// <exception cref="InvalidModelFileException">The model or adapter is not what it should be.</exception>
    /// <exception cref="GgmlException">The GGUF file is no model that llama.cpp can load.</exception>
    /// <exception cref="ParityException">The result does not compute what the trainer does.</exception>
    public static PreparedModel Prepare(PreparationRequest request, Action<string> stage, CancellationToken cancellationToken)
    {
        switch (request.Source)
        {
            case QuantizationSource.Trained trained:
                return PrepareTrained(request, trained, stage, cancellationToken);
            case QuantizationSource.Gguf(var path):
                using (var model = LlamaModel.Load(path, new LlamaModelOptions { VocabularyOnly = true }))
                {
                    var format = new ChatFormat(model.ChatTemplate, model.BosToken?.Text, model.EosToken?.Text);
                    return new(path, Texts(format, request.Conversations), Parity: null, Calibrate(path, format, request, stage, cancellationToken));
                }
            default:
                throw new ArgumentException($"unknown source {request.Source}", nameof(request));
        }
    }

    /// <param name="output">Gets the quantized file, whole or not at all.</param>
    /// <exception cref="GgmlException">llama.cpp cannot quantize it so; the message has its reason.</exception>
    public static QuantizationOutcome Quantize(
        PreparedModel prepared, QuantizationType type, string output, int threads, TimeProvider time, Action<string> stage, CancellationToken cancellationToken)
    {
        stage($"quantizing to {type}");
        var summary = GgufQuantizer.Quantize(prepared.Gguf, output, type, threads, prepared.Importance, cancellationToken);
        using var model = LlamaModel.Load(output);
        stage($"comparing {type} with the source");
        var texts = prepared.Texts.Select(text => model.Tokenize(text, addSpecial: false, parseSpecial: true)).ToArray();
        var quality = QualityComparison.Compare(prepared.Gguf, output, texts, threads, cancellationToken: cancellationToken);
        stage($"timing {type}");
        return new(summary, quality, ModelSpeed.Measure(model, threads, time, cancellationToken));
    }

    private static PreparedModel PrepareTrained(
        PreparationRequest request, QuantizationSource.Trained source, Action<string> stage, CancellationToken cancellationToken)
    {
        var baseModel = ModelFolder.Open(source.Base);
        var adapter = source.Adapter is { } folder ? AdapterFolder.Open(folder) : null;
        var merged = baseModel;
        if (adapter is not null)
        {
            stage("merging the adapter");
            merged = AdapterMerge.Merge(baseModel, adapter, Path.Combine(request.Folder, "merged"), Dtype.F32, cancellationToken);
        }
        stage("converting to GGUF");
        var exported = Path.Combine(request.Folder, "f32.gguf");
        GgufConversion.Convert(merged, exported, GgufWeightType.F32, source.Description, cancellationToken);

        stage("comparing with the trainer");
        var tokenizer = TokenizerConfig.Load(baseModel.Path);
        var format = new ChatFormat(baseModel.ChatTemplate, tokenizer.BosToken, tokenizer.EosToken);
        var texts = Texts(format, request.Conversations);
        var parity = ParityCheck.Compare(new(baseModel, adapter, merged, exported), texts, request.Threads, cancellationToken);
        if (adapter is not null) Directory.Delete(merged.Path, recursive: true);
        return new(exported, texts, parity, Calibrate(exported, format, request, stage, cancellationToken));
    }

    private static ImportanceMatrix? Calibrate(
        string gguf, ChatFormat format, PreparationRequest request, Action<string> stage, CancellationToken cancellationToken)
    {
        if (request.Calibration.Count == 0) return null;
        stage("computing the importance matrix");
        using var model = LlamaModel.Load(gguf);
        using var collector = new ImportanceCollector(model, request.Threads);
        foreach (var text in Texts(format, request.Calibration))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (model.Tokenize(text, addSpecial: false, parseSpecial: true) is { Length: > 0 } tokens) collector.Add(tokens);
        }
        return collector.Matrix();
    }

    /// <summary>A row that the template refuses is left out; if nothing is left, or there were none, greetings do.</summary>
    private static List<string> Texts(ChatFormat format, IReadOnlyList<IReadOnlyList<ChatMessage>> conversations) =>
        conversations.Select(format.TryWrite).OfType<string>().ToList() is { Count: > 0 } texts
            ? texts
            : [.. greetings.Select(greeting => format.TryWrite([new ChatMessage("user", greeting)]) ?? greeting)];

    /// <summary>How a model writes a conversation; one without a template writes its lines.</summary>
    private sealed class ChatFormat(string? template, string? bos, string? eos)
    {
        private readonly ChatTemplate? parsed = template is null ? null : ChatTemplate.Parse(template);

        public string? TryWrite(IReadOnlyList<ChatMessage> messages)
        {
            if (parsed is null) return string.Join('\n', messages.Select(message => message.Content));
            try
            {
                return parsed.Render(new ChatTemplateInput
                {
                    Messages = messages,
                    AddGenerationPrompt = messages[^1].Role != ChatMessage.AssistantRole,
                    BosToken = bos,
                    EosToken = eos,
                }).Text;
            }
            catch (ChatTemplateException)
            {
                return null;
            }
        }
    }
}
