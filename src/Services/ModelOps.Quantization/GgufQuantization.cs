using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Quantization;

public sealed record QuantizationRequest
{
    /// <summary>Folder of the base model, Hugging Face layout.</summary>
    public required string Base { get; init; }

    /// <summary>Folder of an adapter in PEFT layout; null: the base as it is.</summary>
    public string? Adapter { get; init; }

    public required QuantizationType Type { get; init; }

    /// <summary>What the GGUF file says about itself and its lineage.</summary>
    public required GgufDescription Description { get; init; }

    /// <summary>Conversations for the comparison with the trainer; none: one plain greeting.</summary>
    public required IReadOnlyList<IReadOnlyList<ChatMessage>> Conversations { get; init; }

    public required string Output { get; init; }

    /// <summary>An empty folder for what lies between; the caller removes it.</summary>
    public required string Scratch { get; init; }

    public required int Threads { get; init; }
}

public sealed record QuantizationOutcome(QuantizationSummary Summary, ParityResult Parity);

/// <summary>merge → convert to GGUF → quantize → compare with the trainer.</summary>
public static class GgufQuantization
{
    /// <param name="stage">Told the name of each stage as it begins.</param>
    /// <exception cref="InvalidModelFileException">The model or adapter is not what it should be.</exception>
    /// <exception cref="ParityException">The result does not compute what the trainer does; nothing is left at the output.</exception>
    public static QuantizationOutcome Run(QuantizationRequest request, Action<string> stage, CancellationToken cancellationToken)
    {
        var source = ModelFolder.Open(request.Base);
        if (request.Adapter is { } adapter)
        {
            stage("merging the adapter");
            source = AdapterMerge.Merge(source, AdapterFolder.Open(adapter), Path.Combine(request.Scratch, "merged"), Dtype.F32, cancellationToken);
        }
        stage("converting to GGUF");
        var exported = Path.Combine(request.Scratch, "f32.gguf");
        GgufConversion.Convert(source, exported, GgufWeightType.F32, request.Description, cancellationToken);

        stage($"quantizing to {request.Type}");
        var quantized = Path.Combine(request.Scratch, "quantized.gguf");
        var summary = GgufQuantizer.Quantize(exported, quantized, request.Type, request.Threads, cancellationToken);

        stage("comparing with the trainer");
        var parity = ParityCheck.Compare(source, exported, quantized, Texts(source, request.Conversations), request.Threads, cancellationToken);
        File.Move(quantized, request.Output, overwrite: true);
        return new(summary, parity);
    }

    private static List<string> Texts(ModelFolder source, IReadOnlyList<IReadOnlyList<ChatMessage>> conversations)
    {
        if (conversations.Count == 0) conversations = [[new ChatMessage("user", "Hello! Who are you?")]];
        if (source.ChatTemplate is not { } templateSource)
            return [.. conversations.Select(messages => string.Join('\n', messages.Select(message => message.Content)))];
        var template = ChatTemplate.Parse(templateSource);
        var tokenizer = TokenizerConfig.Load(source.Path);
        return
        [
            .. conversations.Select(messages => template.Render(new ChatTemplateInput
            {
                Messages = messages,
                AddGenerationPrompt = messages[^1].Role != "assistant",
                BosToken = tokenizer.BosToken,
                EosToken = tokenizer.EosToken,
            }).Text),
        ];
    }
}
