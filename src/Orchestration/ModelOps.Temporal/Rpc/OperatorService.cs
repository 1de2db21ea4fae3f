using Grpc.AspNetCore.Server.Model;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.OperatorService.V1;

namespace ModelOps.Temporal;

/// <summary>temporal.api.operatorservice.v1.OperatorService: the search attributes of a namespace.</summary>
internal sealed class OperatorService(Engine engine) : IServiceMethodProvider<OperatorService>
{
    public const string Name = "temporal.api.operatorservice.v1.OperatorService";

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<OperatorService> context)
    {
        var methods = new RpcMethods<OperatorService>(context, Name, engine);
        methods.Add<AddSearchAttributesRequest, AddSearchAttributesResponse>(AddAsync);
        methods.Add<ListSearchAttributesRequest, ListSearchAttributesResponse>(ListAsync);
    }

    private Task<AddSearchAttributesResponse> AddAsync(AddSearchAttributesRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            foreach (var (name, type) in request.SearchAttributes)
            {
                if (VisibilityField.Predefined.ContainsKey(name))
                    throw RpcErrors.InvalidArgument($"Search attribute {name} is reserved by system.");
                engine.Namespaces.AddAttribute(request.Namespace, name, type);
            }
            return new AddSearchAttributesResponse();
        });

    private Task<ListSearchAttributesResponse> ListAsync(ListSearchAttributesRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() => new ListSearchAttributesResponse
        {
            CustomAttributes = { engine.Namespaces.AttributeTypes(request.Namespace).ToDictionary() },
            SystemAttributes = { VisibilityField.Predefined.ToDictionary() },
        });
}
