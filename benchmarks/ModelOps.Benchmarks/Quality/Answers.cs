using System.Text;
using System.Text.RegularExpressions;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Training;

namespace ModelOps.Benchmarks.Quality;

/// <param name="Reference">What should be said.</param>
/// <param name="Text">What the model said.</param>
internal sealed partial record Answer(string Question, string Reference, string Text)
{
    /// <summary>F1 of the longest common subsequence of words (Lin 2004), lower-case, not stemmed.</summary>
    public double RougeL { get; } = Score(Words(Reference), Words(Text));

    private static double Score(string[] reference, string[] answer)
    {
        var lengths = new int[reference.Length + 1, answer.Length + 1];
        for (var i = 1; i <= reference.Length; i++)
            for (var j = 1; j <= answer.Length; j++)
                lengths[i, j] = reference[i - 1] == answer[j - 1] ? lengths[i - 1, j - 1] + 1 : Math.Max(lengths[i - 1, j], lengths[i, j - 1]);
        return answer.Length == 0 ? 0 : 2.0 * lengths[reference.Length, answer.Length] / (reference.Length + answer.Length);
    }

    private static string[] Words(string text) => [.. Word().Matches(text.ToLowerInvariant()).Select(word => word.Value)];

    [GeneratedRegex("[a-z0-9]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();
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
