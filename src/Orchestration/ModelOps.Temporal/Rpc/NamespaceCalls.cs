using Grpc.Core;
using Temporalio.Api.ErrorDetails.V1;

namespace ModelOps.Temporal;

/// <summary>Namespaces: separate workflow ids, queues and retention.</summary>
internal sealed class NamespaceCalls(Engine engine)
{
    public Task<DescribeNamespaceResponse> DescribeAsync(DescribeNamespaceRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() => Known(request.Namespace.Length > 0 ? request.Namespace : request.Id));

    public Task<ListNamespacesResponse> ListAsync(ListNamespacesRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() => new ListNamespacesResponse { Namespaces = { engine.Namespaces.All } });

    public Task<RegisterNamespaceResponse> RegisterAsync(RegisterNamespaceRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            if (request.Namespace.Length == 0)
                throw RpcErrors.InvalidArgument("Namespace is not set on request.");
            if (engine.Namespaces.Find(request.Namespace) is not null)
                throw RpcErrors.WithDetails(StatusCode.AlreadyExists, "Namespace already exists.", new NamespaceAlreadyExistsFailure());
            engine.Namespaces.Put(Namespaces.Describe(
                request.Namespace, request.WorkflowExecutionRetentionPeriod.OrZero(), request.Description, request.OwnerEmail, request.Data));
            return new RegisterNamespaceResponse();
        });

    public Task<UpdateNamespaceResponse> UpdateAsync(UpdateNamespaceRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var changed = Known(request.Namespace).Clone();
            if (request.UpdateInfo is { } info)
            {
                changed.NamespaceInfo.Description = info.Description;
                changed.NamespaceInfo.OwnerEmail = info.OwnerEmail;
                foreach (var (name, value) in info.Data)
                    changed.NamespaceInfo.Data[name] = value;
            }
            if (request.Config?.WorkflowExecutionRetentionTtl is { } retention)
                changed.Config.WorkflowExecutionRetentionTtl = retention;
            engine.Namespaces.Put(changed);
            return new UpdateNamespaceResponse { NamespaceInfo = changed.NamespaceInfo, Config = changed.Config };
        });

    private DescribeNamespaceResponse Known(string name) => engine.Namespaces.Find(name) ?? throw RpcErrors.NamespaceNotFound(name);
}
