using Microsoft.Extensions.Logging;

namespace ModelOps.Ggml;

/// <param name="Scores">One for each document, in their order: 0 to 1, the more the better.</param>
/// <param name="PromptTokens">Of all pairs of query and document.</param>
public sealed record Ranking(IReadOnlyList<float> Scores, int PromptTokens);

/// <summary>Scores documents for a query, by models whose pooling is rank. Documents of all callers share the batches. Thread-safe.</summary>
public sealed class RerankEngine : IAsyncDisposable
{
    private readonly PooledEngine engine;
    private readonly LlamaVocabulary vocabulary;
    private readonly string? template;
    private readonly bool scoresAreProbabilities;

    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or ranks nothing: see <see cref="LlamaModel.Ranks"/>.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public RerankEngine(LlamaModel model, EmbeddingOptions? options = null, ILogger? logger = null)
    {
        _ = model.Weights; // a model without any is what is wrong, not its pooling
        if (!model.Ranks)
            throw new InvalidOperationException(
                $"{model.Path} ({model.Description}) does not score documents: its pooling ({model.Architecture}.pooling_type) is {model.Pooling}.");
        // Qwen3's rerankers answer yes or no, with probabilities that llama.cpp computes; all others have one logit.
        scoresAreProbabilities = model.Architecture.StartsWith("qwen3", StringComparison.Ordinal) && model.ClassCount == 2;
        if (model.ClassCount != 1 && !scoresAreProbabilities)
            throw new InvalidOperationException($"{model.Path} sorts texts into {model.ClassCount} classes: it does not score documents.");
        vocabulary = model.Vocabulary;
        template = model.RerankTemplate;
        engine = new PooledEngine(model, model.ClassCount, options ?? new EmbeddingOptions(), logger);
    }

    /// <summary>The most tokens of a query with a document.</summary>
    public int ContextSize => engine.ContextSize;

    /// <summary>Bytes of its context; the weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => engine.ContextMemory;

    public EngineStatistics Statistics => engine.Statistics;

    /// <exception cref="PromptTooLongException">The query with a document has more than <see cref="ContextSize"/> tokens.</exception>
    /// <exception cref="EngineBusyException">The queue has no room for the documents.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile.</exception>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public async Task<Ranking> RankAsync(string query, IReadOnlyList<string> documents, CancellationToken cancellationToken = default)
    {
        var pairs = engine.WhileAlive(() => documents.Select(document => Pair(query, document)).ToArray());
        var scores = await engine.RunAsync(pairs, cancellationToken).ConfigureAwait(false);
        return new Ranking([.. scores.Select(score => scoresAreProbabilities ? score[0] : Sigmoid(score[0]))], pairs.Sum(pair => pair.Length));
    }

    public ValueTask DisposeAsync() => engine.DisposeAsync();

    private static float Sigmoid(float logit) => 1 / (1 + MathF.Exp(-logit));

    /// <summary>
    /// The model's template for ranking, or what its tokenizer wants around pairs: BERT's is [CLS] query [SEP] document [SEP], RoBERTa's
    /// &lt;s&gt; query &lt;/s&gt; &lt;/s&gt; document &lt;/s&gt;.
    /// </summary>
    private int[] Pair(string query, string document)
    {
        if (template is not null)
        {
            // The template's marks are tokens, the same words in a query or a document are not.
            var parts = template.Split("{document}", 2);
            var head = parts[0].Split("{query}", 2);
            return [.. Special(head[0]), .. Plain(head.Length > 1 ? query : ""), .. Special(head.ElementAtOrDefault(1)),
                .. Plain(document), .. Special(parts.ElementAtOrDefault(1))];
        }
        int[] separator = If(vocabulary.AddsSeparator, vocabulary.Separator);
        int[] end = If(vocabulary.AddsEos, vocabulary.Eos ?? vocabulary.Separator);
        return [.. If(vocabulary.AddsBos, vocabulary.Bos), .. Plain(query), .. end, .. separator, .. Plain(document), .. end.Length > 0 ? end : separator];
    }

    private int[] Special(string? text) => vocabulary.Tokenize(text ?? "", addSpecial: false, parseSpecial: true);

    private int[] Plain(string text) => vocabulary.Tokenize(text, addSpecial: false, parseSpecial: false);

    private static int[] If(bool wanted, int? token) => wanted && token is { } id ? [id] : [];
}
