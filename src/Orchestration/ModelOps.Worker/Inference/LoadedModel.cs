using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.ChatTemplates.ToolCalls;

namespace ModelOps.Worker.Inference;

/// <summary>A model in memory, with the engines for what it can do and its chat template.</summary>
internal sealed class LoadedModel : IAsyncDisposable
{
    public const int DefaultContext = 4096;

    private LoadedModel(LlamaModel model)
    {
        Model = model;
        if (model.ChatTemplate is not { } source) return;
        Template = ChatTemplate.Parse(source);
        Style = AnswerStyle.Of(source);
    }

    public LlamaModel Model { get; }

    /// <summary>Null: it continues no texts.</summary>
    public BatchingEngine? Generator { get; private set; }

    /// <summary>Null: it has no vectors for texts.</summary>
    public EmbeddingEngine? Embedder { get; private set; }

    /// <summary>Null: it scores no documents.</summary>
    public RerankEngine? Ranker { get; private set; }

    public ChatTemplate? Template { get; }

    public AnswerStyle Style { get; } = new(ToolCalls: null, RendersTools: false, MarksReasoning: false);

    /// <summary>Bytes of weights, caches and buffers.</summary>
    public long Memory => Model.Size + (Generator?.ContextMemory ?? 0) + (Embedder?.ContextMemory ?? 0) + (Ranker?.ContextMemory ?? 0);

    public int ContextSize => Generator?.ContextSize ?? Embedder?.ContextSize ?? Ranker?.ContextSize ?? 0;

    /// <exception cref="RpcException">llama.cpp cannot load it, or its options make no sense; the message says why.</exception>
    public static async Task<LoadedModel> LoadAsync(string file, ModelSpec spec, int threads, ILogger logger)
    {
        LlamaModel? model = null;
        LoadedModel? loaded = null;
        try
        {
            model = LlamaModel.Load(file);
            loaded = new LoadedModel(model);
            loaded.MakeEngines(spec, threads, logger);
            return loaded;
        }
        catch (Exception e)
        {
            if (loaded is not null) await loaded.DisposeAsync();
            else model?.Dispose();
            throw e is ArgumentException or InvalidOperationException or GgmlException or ChatTemplateException
                ? new RpcException(new Status(StatusCode.FailedPrecondition, $"{spec.Artifact} cannot be served: {e.Message}"))
                : e;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Generator is not null) await Generator.DisposeAsync();
        if (Embedder is not null) await Embedder.DisposeAsync();
        if (Ranker is not null) await Ranker.DisposeAsync();
        Model.Dispose();
    }

    private void MakeEngines(ModelSpec spec, int threads, ILogger logger)
    {
        if (Model.Generates)
        {
            Generator = new BatchingEngine(
                Model,
                new EngineOptions
                {
                    Threads = threads,
                    Slots = spec.Slots ?? EngineOptions.DefaultSlots,
                    QueueLength = spec.QueueLength ?? EngineOptions.DefaultQueueLength,
                    ContextSize = spec.ContextSize ?? Math.Min(Model.ContextLength, DefaultContext),
                },
                logger);
        }
        if (Model.Embeds) Embedder = new EmbeddingEngine(Model, new EmbeddingOptions { Threads = threads }, logger);
        if (Model.Ranks) Ranker = new RerankEngine(Model, new EmbeddingOptions { Threads = threads }, logger);
    }
}
