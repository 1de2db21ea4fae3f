using System.Diagnostics;
using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.Inference.Wire;
using ModelOps.Worker.Hosting;
using InferenceSpans = ModelOps.Inference.InferenceSpans;

namespace ModelOps.Worker.Inference;

/// <summary>Loads verified models and streams their answers: template and tokens → engine queue → batch step → parts of the answer.</summary>
internal sealed class InferenceService(ModelHost models, WorkerOptions options, ServerLink server, TimeProvider time) : InferenceEngine.InferenceEngineBase
{
    public override async Task<LoadReply> Load(LoadRequest request, ServerCallContext context)
    {
        var clock = Stopwatch.StartNew();
        var spec = new ModelSpec(request.Name, request.Title.Length > 0 ? request.Title : request.Name, ServedFiles.Pinned(request.Artifact, request.ManifestDigest))
        {
            Replaces = request.Replaces.Length > 0 ? request.Replaces : null,
            ContextSize = OrNull(request.ContextSize),
            Slots = OrNull(request.Slots),
            QueueLength = OrNull(request.QueueLength),
            KeepAlive = request.KeepAliveSeconds > 0 ? TimeSpan.FromSeconds(request.KeepAliveSeconds) : null,
            Adapters = request.Adapters.ToDictionary(
                adapter => adapter.Name, adapter => ServedFiles.Pinned(adapter.Artifact, adapter.ManifestDigest), StringComparer.Ordinal),
        };
        var loaded = await models.LoadAsync(spec, context.CancellationToken);
        return new LoadReply
        {
            ContextSize = (uint)loaded.ContextSize,
            Slots = (uint)(spec.Slots ?? EngineOptions.DefaultSlots),
            Seconds = clock.Elapsed.TotalSeconds,
            MemoryBytes = (ulong)loaded.Memory,
            Generates = loaded.Generator is not null,
            Embeds = loaded.Embedder is not null,
            Ranks = loaded.Ranker is not null,
        };
    }

    public override async Task<UnloadReply> Unload(UnloadRequest request, ServerCallContext context)
    {
        await models.UnloadAsync(request.Name);
        return new UnloadReply();
    }

    public override async Task<LoadAdapterReply> LoadAdapter(LoadAdapterRequest request, ServerCallContext context)
    {
        var clock = Stopwatch.StartNew();
        var adapter = request.Adapter;
        await models.LoadAdapterAsync(request.Model, adapter.Name, ServedFiles.Pinned(adapter.Artifact, adapter.ManifestDigest), context.CancellationToken);
        return new LoadAdapterReply { Seconds = clock.Elapsed.TotalSeconds };
    }

    public override Task<UnloadReply> UnloadAdapter(UnloadAdapterRequest request, ServerCallContext context)
    {
        models.UnloadAdapter(request.Model, request.Name);
        return Task.FromResult(new UnloadReply());
    }

    public override Task<StatusReply> Status(StatusRequest request, ServerCallContext context)
    {
        var states = models.List();
        var reply = new StatusReply
        {
            MemoryBytes = (ulong)states.Sum(state => state.Memory),
            MemoryBudgetBytes = options.ModelMemory == long.MaxValue ? 0 : (ulong)options.ModelMemory,
        };
        reply.Models.AddRange(states.Select(ToWire));
        return Task.FromResult(reply);
    }

    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateReply> responseStream, ServerCallContext context)
    {
        using var task = server.Begin();
        await using var lease = await models.AcquireAsync(request.Name, context.CancellationToken);
        var engine = lease.Model.Generator ?? throw NotSupported(lease.Title, "continues no texts");
        var prepared = PreparedRequest.Of(request, lease);
        var writer = new AnswerWriter(prepared, lease.ColdStart);
        var began = time.GetUtcNow();
        try
        {
            await foreach (var piece in engine.GenerateAsync(ToEngine(request, prepared), context.CancellationToken))
            {
                foreach (var reply in writer.Replies(piece)) await responseStream.WriteAsync(reply);
                if (piece.Usage is { } usage)
                    InferenceSpans.TellEngine(
                        began, new(usage.QueueTime, usage.PromptTime, usage.DecodeTime, lease.ColdStart),
                        new(usage.PromptTokens, usage.CompletionTokens, usage.CachedPromptTokens));
            }
        }
        catch (Exception e) when (CodeOf(e) is { } code)
        {
            throw Of(code, MessageOf(e, lease.Title));
        }
    }

    public override async Task<EmbedReply> Embed(EmbedRequest request, ServerCallContext context)
    {
        using var task = server.Begin();
        await using var lease = await models.AcquireAsync(request.Name, context.CancellationToken);
        var engine = lease.Model.Embedder ?? throw NotSupported(lease.Title, "has no embeddings: its file names no pooling");
        try
        {
            int[][] inputs =
            [
                .. request.Inputs.Select(input => input.Tokens.Count > 0 ? [.. input.Tokens] : lease.Model.Model.Tokenize(input.Text, addSpecial: true, parseSpecial: false)),
            ];
            var reply = new EmbedReply { PromptTokens = (uint)inputs.Sum(input => input.Length) };
            foreach (var vector in await engine.EmbedAsync(inputs, context.CancellationToken))
            {
                var values = new Vector();
                values.Values.AddRange(vector);
                reply.Vectors.Add(values);
            }
            return reply;
        }
        catch (Exception e) when (CodeOf(e) is { } code)
        {
            throw Of(code, MessageOf(e, lease.Title));
        }
    }

    public override async Task<RerankReply> Rerank(RerankRequest request, ServerCallContext context)
    {
        using var task = server.Begin();
        await using var lease = await models.AcquireAsync(request.Name, context.CancellationToken);
        var engine = lease.Model.Ranker ?? throw NotSupported(lease.Title, "ranks nothing: its pooling is not rank");
        try
        {
            var ranking = await engine.RankAsync(request.Query, request.Documents, context.CancellationToken);
            var reply = new RerankReply { PromptTokens = (uint)ranking.PromptTokens };
            reply.Scores.AddRange(ranking.Scores);
            return reply;
        }
        catch (Exception e) when (CodeOf(e) is { } code)
        {
            throw Of(code, MessageOf(e, lease.Title));
        }
    }

    private static GenerationRequest ToEngine(GenerateRequest request, PreparedRequest prepared) => new()
    {
        Prompt = prepared.Tokens,
        MaxTokens = OrNull(request.MaxTokens),
        Stop = request.Stop,
        Adapter = request.Adapter.Length > 0 ? request.Adapter : null,
        Grammar = prepared.Grammar,
        ShowControl = prepared.ShowControl,
        TopLogprobs = request.HasTopLogprobs ? (int)request.TopLogprobs : null,
        Priority = request.Priority switch
        {
            Priority.High => RequestPriority.High,
            Priority.Low => RequestPriority.Low,
            _ => RequestPriority.Normal,
        },
        Sampling = new SamplingOptions
        {
            Temperature = request.Sampling.Temperature,
            TopP = request.Sampling.TopP,
            TopK = request.Sampling.TopK,
            MinP = request.Sampling.MinP,
            Seed = request.Sampling.Seed,
            FrequencyPenalty = request.Sampling.FrequencyPenalty,
            PresencePenalty = request.Sampling.PresencePenalty,
            RepeatPenalty = request.Sampling.RepeatPenalty == 0 ? 1 : request.Sampling.RepeatPenalty,
            LogitBias = request.Sampling.LogitBias,
        },
    };

    private static ModelStatus ToWire(ModelState state)
    {
        var wire = new ModelStatus
        {
            Name = state.Name,
            Title = state.Title,
            InMemory = state.InMemory,
            MemoryBytes = (ulong)state.Memory,
            Active = (uint)state.Statistics.Active,
            Queued = (uint)state.Statistics.Queued,
            PromptTokens = (ulong)state.Statistics.PromptTokens,
            CachedPromptTokens = (ulong)state.Statistics.CachedPromptTokens,
            CompletionTokens = (ulong)state.Statistics.CompletionTokens,
            ColdStarts = (ulong)state.ColdStarts,
        };
        wire.Adapters.AddRange(state.Adapters);
        return wire;
    }

    /// <returns>Null: it is nothing that the engine says.</returns>
    private static StatusCode? CodeOf(Exception exception) => exception switch
    {
        PromptTooLongException => StatusCode.OutOfRange,
        AdapterNotFoundException => StatusCode.NotFound,
        ObjectDisposedException => StatusCode.Unavailable,
        ArgumentException => StatusCode.InvalidArgument,
        EngineBusyException => StatusCode.ResourceExhausted,
        GgmlException => StatusCode.Internal,
        _ => null,
    };

    private static string MessageOf(Exception exception, string model) =>
        exception is ObjectDisposedException ? $"the model '{model}' is being stopped; try again" : exception.Message.Split(" (Parameter '")[0];

    private static RpcException NotSupported(string model, string what) => Of(StatusCode.Unimplemented, $"the model '{model}' {what}");

    private static RpcException Of(StatusCode code, string message) => new(new Status(code, message));

    private static int? OrNull(uint value) => value == 0 ? null : (int)value;
}
