using Grpc.Core;
using ModelOps.Inference;
using ModelOps.Inference.Wire;

namespace ModelOps.Server.Streaming;

/// <summary>The gateway's gRPC: what the other surfaces offer, for services. Who may call it is decided as for every route.</summary>
public sealed class InferenceService(ModelRouter router) : Inference.Wire.Inference.InferenceBase
{
    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateReply> responseStream, ServerCallContext context)
    {
        try
        {
            await foreach (var piece in router.GenerateAsync(InferenceWire.Read(request), context.CancellationToken))
                await responseStream.WriteAsync(InferenceWire.Write(piece), context.CancellationToken);
        }
        catch (InferenceException e)
        {
            throw Refusal(e);
        }
    }

    public override async Task<EmbedReply> Embed(EmbedRequest request, ServerCallContext context)
    {
        try
        {
            return InferenceWire.Write(await router.EmbedAsync(request.Name, InferenceWire.Read(request), context.CancellationToken));
        }
        catch (InferenceException e)
        {
            throw Refusal(e);
        }
    }

    public override async Task<RerankReply> Rerank(RerankRequest request, ServerCallContext context)
    {
        try
        {
            return InferenceWire.Write(await router.RerankAsync(request.Name, request.Query, request.Documents, context.CancellationToken));
        }
        catch (InferenceException e)
        {
            throw Refusal(e);
        }
    }

    private static RpcException Refusal(InferenceException error) => new(new Status(InferenceWire.StatusOf(error.Error), error.Message));
}
