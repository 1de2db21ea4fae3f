using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Grpc.Core;
using ModelOps.Inference.Wire;

namespace ModelOps.Inference;

/// <summary>A model to hold in memory: a gguf artifact, pinned by the SHA-256 of its manifest (hex).</summary>
/// <param name="Name">What requests to the worker call it.</param>
public sealed record ModelToLoad(string Name, string Artifact, string ManifestDigest)
{
    /// <summary>The deployment's name, for people.</summary>
    /// <value>The default is null: the name.</value>
    public string? Title { get; init; }

    /// <summary>The model that goes once requests come to this one: it is not counted against the budget of memory, and what it did is this one's.</summary>
    /// <value>The default is null: none.</value>
    public string? Replaces { get; init; }

    /// <summary>Tokens per sequence.</summary>
    /// <value>The default is null: the model's own.</value>
    public int? ContextSize { get; init; }

    /// <summary>Sequences decoded together.</summary>
    /// <value>The default is null: the engine's.</value>
    public int? Slots { get; init; }

    /// <summary>Requests that may wait for a slot.</summary>
    /// <value>The default is null: the engine's.</value>
    public int? QueueLength { get; init; }

    /// <summary>Idle time after which the weights may leave memory; the next request brings them back.</summary>
    /// <value>The default is null: they leave only for lack of memory.</value>
    public TimeSpan? KeepAlive { get; init; }

    public IReadOnlyList<AdapterToLoad> Adapters { get; init; } = [];
}

/// <summary>An adapter to hold beside a model, pinned as models are.</summary>
/// <param name="Name">Its name among the model's adapters.</param>
public sealed record AdapterToLoad(string Name, string Artifact, string ManifestDigest);

/// <param name="MemoryBytes">Weights and caches.</param>
public sealed record LoadedModel(int ContextSize, int Slots, TimeSpan Took, long MemoryBytes, bool Generates, bool Embeds, bool Ranks);

/// <summary>The inference worker process, over gRPC.</summary>
public sealed class WorkerBackend(InferenceEngine.InferenceEngineClient worker) : IInferenceBackend
{
    /// <exception cref="InferenceException">The worker refused the model or is down.</exception>
    public async Task<LoadedModel> LoadAsync(ModelToLoad model, CancellationToken cancellationToken)
    {
        var request = new LoadRequest
        {
            Name = model.Name,
            Artifact = model.Artifact,
            ManifestDigest = model.ManifestDigest,
            Title = model.Title ?? "",
            Replaces = model.Replaces ?? "",
            ContextSize = (uint)(model.ContextSize ?? 0),
            Slots = (uint)(model.Slots ?? 0),
            QueueLength = (uint)(model.QueueLength ?? 0),
            KeepAliveSeconds = model.KeepAlive?.TotalSeconds ?? 0,
        };
        request.Adapters.AddRange(model.Adapters.Select(ToWire));
        var reply = await CallAsync(() => worker.LoadAsync(request, cancellationToken: cancellationToken), cancellationToken).ConfigureAwait(false);
        return new(
            (int)reply.ContextSize,
            (int)reply.Slots,
            TimeSpan.FromSeconds(reply.Seconds),
            (long)reply.MemoryBytes,
            reply.Generates,
            reply.Embeds,
            reply.Ranks);
    }

    /// <exception cref="InferenceException">The worker is down.</exception>
    public Task UnloadAsync(string name, CancellationToken cancellationToken) =>
        CallAsync(() => worker.UnloadAsync(new UnloadRequest { Name = name }, cancellationToken: cancellationToken), cancellationToken);

    /// <returns>How long it took.</returns>
    /// <exception cref="InferenceException">The worker refused the adapter or is down.</exception>
    public async Task<TimeSpan> LoadAdapterAsync(string model, AdapterToLoad adapter, CancellationToken cancellationToken)
    {
        var request = new LoadAdapterRequest { Model = model, Adapter = ToWire(adapter) };
        var reply = await CallAsync(() => worker.LoadAdapterAsync(request, cancellationToken: cancellationToken), cancellationToken).ConfigureAwait(false);
        return TimeSpan.FromSeconds(reply.Seconds);
    }

    /// <exception cref="InferenceException">The worker is down.</exception>
    public Task UnloadAdapterAsync(string model, string name, CancellationToken cancellationToken) => CallAsync(
        () => worker.UnloadAdapterAsync(new UnloadAdapterRequest { Model = model, Name = name }, cancellationToken: cancellationToken), cancellationToken);

    /// <exception cref="InferenceException">The worker is down.</exception>
    public Task<StatusReply> StatusAsync(CancellationToken cancellationToken) =>
        CallAsync(() => worker.StatusAsync(new StatusRequest(), cancellationToken: cancellationToken), cancellationToken);

    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = Start(() => worker.Generate(ToWire(request), cancellationToken: cancellationToken));
        while (true)
        {
            try
            {
                if (!await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false)) yield break;
            }
            catch (RpcException e)
            {
                throw Translate(e, cancellationToken);
            }
            yield return FromWire(call.ResponseStream.Current);
        }
    }

    public async Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
    {
        var request = new EmbedRequest { Name = model };
        request.Inputs.AddRange(inputs.Select(ToWire));
        var reply = await CallAsync(() => worker.EmbedAsync(request, cancellationToken: cancellationToken), cancellationToken).ConfigureAwait(false);
        return new([.. reply.Vectors.Select(vector => vector.Values.ToArray())], (int)reply.PromptTokens);
    }

    public async Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken)
    {
        var request = new RerankRequest { Name = model, Query = query };
        request.Documents.AddRange(documents);
        var reply = await CallAsync(() => worker.RerankAsync(request, cancellationToken: cancellationToken), cancellationToken).ConfigureAwait(false);
        return new([.. reply.Scores], (int)reply.PromptTokens);
    }

    private static async Task<T> CallAsync<T>(Func<AsyncUnaryCall<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await Start(call).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            throw Translate(e, cancellationToken);
        }
    }

    private static T Start<T>(Func<T> call)
    {
        try
        {
            return call();
        }
        catch (ObjectDisposedException e)
        {
            throw new InferenceException(InferenceError.Unavailable, "the inference worker has ended and is started again", e); // its channel went with it
        }
    }

    private static Adapter ToWire(AdapterToLoad adapter) => new() { Name = adapter.Name, Artifact = adapter.Artifact, ManifestDigest = adapter.ManifestDigest };

    private static GenerateRequest ToWire(GenerationRequest request)
    {
        var wire = new GenerateRequest
        {
            Name = request.Model,
            Adapter = request.Adapter ?? "",
            MaxTokens = (uint)(request.MaxTokens ?? 0),
            Sampling = ToWire(request.Sampling),
            Priority = request.Priority switch
            {
                RequestPriority.High => Priority.High,
                RequestPriority.Low => Priority.Low,
                _ => Priority.Normal,
            },
        };
        wire.Stop.AddRange(request.Stop);
        if (request.TopLogprobs is { } top) wire.TopLogprobs = (uint)top;
        switch (request.Constraint)
        {
            case OutputConstraint.Grammar grammar:
                wire.Grammar = grammar.Gbnf;
                break;
            case OutputConstraint.JsonSchema schema:
                wire.JsonSchema = schema.Schema.GetRawText();
                break;
        }
        switch (request.Input)
        {
            case GenerationInput.Prompt prompt:
                wire.Prompt = prompt.Text;
                break;
            case GenerationInput.Chat chat:
                wire.Chat = ToWire(chat);
                break;
        }
        return wire;
    }

    private static Sampling ToWire(SamplingSettings settings)
    {
        var wire = new Sampling
        {
            Temperature = settings.Temperature,
            TopP = settings.TopP,
            TopK = settings.TopK,
            MinP = settings.MinP,
            Seed = settings.Seed,
            FrequencyPenalty = settings.FrequencyPenalty,
            PresencePenalty = settings.PresencePenalty,
            RepeatPenalty = settings.RepeatPenalty,
        };
        foreach (var (token, bias) in settings.LogitBias) wire.LogitBias[token] = bias;
        return wire;
    }

    private static Conversation ToWire(GenerationInput.Chat chat)
    {
        var wire = new Conversation
        {
            ToolChoice = chat.ToolChoice switch
            {
                ToolChoice.None => "none",
                ToolChoice.Required => "required",
                ToolChoice.Function function => $"function:{function.Name}",
                _ => "auto",
            },
            TemplateVariables = chat.TemplateVariables is { } variables ? JsonSerializer.Serialize(variables, InferenceJson.Default.IReadOnlyDictionaryStringJsonElement) : "",
        };
        wire.Messages.AddRange(chat.Messages.Select(ToWire));
        wire.Tools.AddRange(chat.Tools.Select(tool => tool.GetRawText()));
        return wire;
    }

    private static Message ToWire(ChatTurn turn)
    {
        var wire = new Message { Role = turn.Role, Name = turn.Name ?? "", ToolCallId = turn.ToolCallId ?? "", Reasoning = turn.Reasoning ?? "" };
        if (turn.Content is { } content) wire.Content = content;
        wire.ToolCalls.AddRange(turn.ToolCalls.Select(call => new Wire.ToolCall { Id = call.Id, Name = call.Name, Arguments = call.Arguments }));
        return wire;
    }

    private static EmbedInput ToWire(EmbeddingInput input)
    {
        var wire = new EmbedInput();
        if (input is EmbeddingInput.Text text) wire.Text = text.Value;
        if (input is EmbeddingInput.Tokens tokens) wire.Tokens.AddRange(tokens.Ids);
        return wire;
    }

    private static GenerationPiece FromWire(GenerateReply reply) => new(
        reply.Text,
        reply.FinishReason switch
        {
            Wire.FinishReason.Stop => FinishReason.Stop,
            Wire.FinishReason.Length => FinishReason.Length,
            Wire.FinishReason.ToolCalls => FinishReason.ToolCalls,
            _ => null,
        },
        reply.Usage is { } usage ? new((int)usage.PromptTokens, (int)usage.CompletionTokens, (int)usage.CachedPromptTokens) : null)
    {
        Reasoning = reply.Reasoning,
        ToolCalls =
        [
            .. reply.ToolCalls.Select(call =>
                new ToolCallDelta((int)call.Index, OrNull(call.Id), OrNull(call.Name), call.Arguments)),
        ],
        Logprobs = [.. reply.Logprobs.Select(FromWire)],
        Times = reply.Usage is { } times
            ? new(
                TimeSpan.FromSeconds(times.QueueSeconds),
                TimeSpan.FromSeconds(times.PromptSeconds),
                TimeSpan.FromSeconds(times.DecodeSeconds),
                TimeSpan.FromSeconds(times.LoadSeconds))
            : null,
    };

    private static TokenLogprob FromWire(Wire.TokenLogprob logprob) =>
        new(logprob.Token.Memory, logprob.Logprob, [.. logprob.Top.Select(FromWire)]);

    private static string? OrNull(string text) => text.Length > 0 ? text : null;

    private static Exception Translate(RpcException e, CancellationToken cancellationToken) => e.StatusCode switch
    {
        // The client tells of a call that is canceled while it reads as of one whose connection broke.
        StatusCode.Cancelled or StatusCode.Unavailable when cancellationToken.IsCancellationRequested =>
            new OperationCanceledException(e.Status.Detail, e, cancellationToken),
        StatusCode.NotFound => new InferenceException(InferenceError.ModelNotFound, e.Status.Detail, e),
        StatusCode.DataLoss => new InferenceException(InferenceError.VerificationFailed, e.Status.Detail, e),
        StatusCode.OutOfRange => new InferenceException(InferenceError.PromptTooLong, e.Status.Detail, e),
        StatusCode.Unimplemented => new InferenceException(InferenceError.NotSupported, e.Status.Detail, e),
        StatusCode.InvalidArgument or StatusCode.FailedPrecondition => new InferenceException(InferenceError.InvalidRequest, e.Status.Detail, e),
        StatusCode.Internal => new InferenceException(InferenceError.Unavailable, e.Status.Detail, e),
        StatusCode.ResourceExhausted => new InferenceException(InferenceError.Busy, e.Status.Detail, e),
        _ => new InferenceException(InferenceError.Unavailable, $"the inference worker does not answer: {e.Status.Detail}", e),
    };
}

[JsonSerializable(typeof(IReadOnlyDictionary<string, JsonElement>))]
internal sealed partial class InferenceJson : JsonSerializerContext;
