using Grpc.AspNetCore.Server.Model;
using Grpc.Core;

namespace ModelOps.Temporal;

/// <summary>Adds methods to a gRPC service by their requests, without generated code: <c>XRequest</c> is the method <c>X</c>.</summary>
internal sealed class RpcMethods<TService>(ServiceMethodProviderContext<TService> context, string service, Engine engine)
    where TService : class
{
    private const string requestSuffix = "Request";

    /// <summary>Adds a method; when its request names a namespace, that exists.</summary>
    public void Add<TRequest, TResponse>(Func<TRequest, CancellationToken, Task<TResponse>> handle)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        var field = new TRequest().Descriptor.FindFieldByName("namespace");
        if (field is null)
        {
            AddAnyNamespace(handle);
            return;
        }
        AddAnyNamespace<TRequest, TResponse>((request, cancellationToken) =>
        {
            var ns = (string)field.Accessor.GetValue(request);
            if (engine.Transact(() => engine.Namespaces.Find(ns)) is null)
                throw RpcErrors.NamespaceNotFound(ns);
            return handle(request, cancellationToken);
        });
    }

    public void AddAnyNamespace<TRequest, TResponse>(Func<TRequest, CancellationToken, Task<TResponse>> handle)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        var name = typeof(TRequest).Name[..^requestSuffix.Length];
        var method = new Method<TRequest, TResponse>(MethodType.Unary, service, name, Marshaller<TRequest>(), Marshaller<TResponse>());
        context.AddUnaryMethod(method, [], async (_, request, call) =>
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(call.CancellationToken, engine.Stopping);
            try
            {
                return await handle(request, ending.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (call.CancellationToken.IsCancellationRequested)
            {
                throw new RpcException(new Status(StatusCode.Cancelled, "The call was cancelled."));
            }
            catch (OperationCanceledException) when (engine.Stopping.IsCancellationRequested)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, "The server is shutting down."));
            }
            catch (IOException failure) when (failure == engine.Failure)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, failure.Message));
            }
        });
    }

    private static Marshaller<T> Marshaller<T>()
        where T : class, IMessage<T>, new()
    {
        var parser = new MessageParser<T>(() => new T());
        return new(
            (message, to) =>
            {
                to.SetPayloadLength(message.CalculateSize());
                message.WriteTo(to.GetBufferWriter());
                to.Complete();
            },
            from => parser.ParseFrom(from.PayloadAsReadOnlySequence()));
    }
}
