using System.Runtime.CompilerServices;
using Grpc.Core;
using ModelOps.Inference.Wire;

namespace ModelOps.Inference;

/// <summary>A model to hold in memory: a gguf artifact, pinned by the SHA-256 of its manifest (hex).</summary>
/// <param name="ContextSize">Tokens per sequence; null: the model's own.</param>
/// <param name="Slots">Sequences decoded together; null: the engine's default.</param>
public sealed record ModelToLoad(string Name, string Artifact, string ManifestDigest, int? ContextSize, int? Slots);

public sealed record LoadedModel(int ContextSize, int Slots, TimeSpan Took);

/// <summary>The inference worker process, over gRPC.</summary>
public sealed class WorkerBackend(InferenceEngine.InferenceEngineClient worker)
{
    /// <exception cref="InferenceException">The worker refused the model or is down.</exception>
    public async Task<LoadedModel> LoadAsync(ModelToLoad model, CancellationToken cancellationToken)
    {
        try
        {
            var reply = await worker.LoadAsync(
                new LoadRequest
                {
                    Name = model.Name,
                    Artifact = model.Artifact,
                    ManifestDigest = model.ManifestDigest,
                    ContextSize = (uint)(model.ContextSize ?? 0),
                    Slots = (uint)(model.Slots ?? 0),
                },
                cancellationToken: cancellationToken).ConfigureAwait(false);
            return new((int)reply.ContextSize, (int)reply.Slots, TimeSpan.FromSeconds(reply.Seconds));
        }
        catch (RpcException e)
        {
            throw Translate(e, cancellationToken);
        }
    }

    public async Task UnloadAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            await worker.UnloadAsync(new UnloadRequest { Name = name }, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            throw Translate(e, cancellationToken);
        }
    }

    /// <exception cref="InferenceException">The request is wrong, or the worker is busy or down.</exception>
    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = worker.Generate(ToWire(request), cancellationToken: cancellationToken);
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

    private static GenerateRequest ToWire(GenerationRequest request)
    {
        var wire = new GenerateRequest
        {
            Name = request.Model,
            MaxTokens = (uint)(request.MaxTokens ?? 0),
            Sampling = new Sampling
            {
                Temperature = request.Sampling.Temperature,
                TopP = request.Sampling.TopP,
                TopK = request.Sampling.TopK,
                MinP = request.Sampling.MinP,
                Seed = request.Sampling.Seed,
            },
        };
        wire.Stop.AddRange(request.Stop);
        switch (request.Input)
        {
            case GenerationInput.Prompt prompt:
                wire.Prompt = prompt.Text;
                break;
            case GenerationInput.Chat chat:
                wire.Chat = new Conversation();
                wire.Chat.Messages.AddRange(chat.Messages.Select(turn => new Message { Role = turn.Role, Content = turn.Content }));
                break;
        }
        return wire;
    }

    private static GenerationPiece FromWire(GenerateReply reply) => new(
        reply.Text,
        reply.FinishReason switch
        {
            Wire.FinishReason.Stop => FinishReason.Stop,
            Wire.FinishReason.Length => FinishReason.Length,
            _ => null,
        },
        reply.Usage is { } usage ? new((int)usage.PromptTokens, (int)usage.CompletionTokens) : null);

    private static Exception Translate(RpcException e, CancellationToken cancellationToken) => e.StatusCode switch
    {
        StatusCode.Cancelled when cancellationToken.IsCancellationRequested =>
            new OperationCanceledException(e.Status.Detail, e, cancellationToken),
        StatusCode.NotFound => new InferenceException(InferenceError.ModelNotFound, e.Status.Detail, e),
        StatusCode.DataLoss => new InferenceException(InferenceError.VerificationFailed, e.Status.Detail, e),
        StatusCode.InvalidArgument or StatusCode.FailedPrecondition => new InferenceException(InferenceError.InvalidRequest, e.Status.Detail, e),
        StatusCode.ResourceExhausted => new InferenceException(InferenceError.Busy, e.Status.Detail, e),
        _ => new InferenceException(InferenceError.Unavailable, $"the inference worker does not answer: {e.Status.Detail}", e),
    };
}
