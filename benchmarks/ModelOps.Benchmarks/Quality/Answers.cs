using System.Text;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Training;
using ModelOps.Training.Evaluations.Metrics;

namespace ModelOps.Benchmarks.Quality;

/// <param name="Reference">What should be said.</param>
/// <param name="Text">What the model said.</param>
internal sealed record Answer(string Question, string Reference, string Text)
{
    public double Overlap { get; } = RougeL.F1(RougeL.Words(Text), RougeL.Words(Reference));
}

/// <summary>Asks a model through llama.cpp, as it is served: greedily, many at a time.</summary>
internal static class Answers
{
    private const int MaxTokens = 48;
    private const int ContextSize = 256;
    private const int Slots = 16;

    public static async Task<IReadOnlyList<Answer>> AskAsync(
        ModelFolder model, IReadOnlyList<ChatExample> chats, string work, int threads, CancellationToken cancellationToken)
    {
        var file = Path.Combine(work, "asked.gguf");
        GgufConversion.Convert(model, file, GgufWeightType.F32, new() { Name = "quality" }, cancellationToken);
        using var loaded = LlamaModel.Load(file);
        await using var engine = new BatchingEngine(loaded, new() { Slots = Slots, ContextSize = ContextSize, Threads = threads, QueueLength = chats.Count });
        var template = ChatTemplate.Parse(model.ChatTemplate ?? throw new InvalidDataException($"{model.Path} has no chat template"));
        var tokenizer = TokenizerConfig.Load(model.Path);
        return await Task.WhenAll(chats.Select(AnswerAsync));

        async Task<Answer> AnswerAsync(ChatExample chat)
        {
            var messages = chat.Messages.SkipLast(1).ToList();
            var prompt = template.Render(
                new() { Messages = messages, AddGenerationPrompt = true, BosToken = tokenizer.BosToken, EosToken = tokenizer.EosToken }).Text;
            var text = new StringBuilder();
            var request = new GenerationRequest { Prompt = loaded.Tokenize(prompt, addSpecial: false, parseSpecial: true), MaxTokens = MaxTokens };
            await foreach (var piece in engine.GenerateAsync(request, cancellationToken)) text.Append(piece.Text);
            return new(messages[^1].Content!, chat.Messages[^1].Content!, text.ToString());
        }
    }
}
