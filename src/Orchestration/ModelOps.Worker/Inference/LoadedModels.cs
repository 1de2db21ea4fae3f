using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using ModelOps.Ggml;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Worker.Inference;

/// <summary>A model in memory with its engine and its chat template.</summary>
internal sealed class LoadedModel(LlamaModel model, BatchingEngine engine, ChatTemplate? template) : IAsyncDisposable
{
    public LlamaModel Model => model;
    public BatchingEngine Engine => engine;
    public ChatTemplate? Template => template;

    public async ValueTask DisposeAsync()
    {
        await engine.DisposeAsync();
        model.Dispose();
    }
}

/// <summary>The models of this process by deployment name.</summary>
internal sealed class LoadedModels : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, LoadedModel> models = new(StringComparer.Ordinal);

    public bool TryGet(string name, [NotNullWhen(true)] out LoadedModel? model) => models.TryGetValue(name, out model);

    /// <summary>Puts the model in place; the one before it is freed once its requests are done.</summary>
    public async Task SetAsync(string name, LoadedModel model)
    {
        LoadedModel? before = null;
        models.AddOrUpdate(name, model, (_, old) =>
        {
            before = old;
            return model;
        });
        if (before is not null) await before.DisposeAsync();
    }

    public async Task RemoveAsync(string name)
    {
        if (models.TryRemove(name, out var model)) await model.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var name in models.Keys) await RemoveAsync(name);
    }
}
