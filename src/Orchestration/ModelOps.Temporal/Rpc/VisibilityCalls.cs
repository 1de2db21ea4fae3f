using ModelOps.Temporal.Visibility;

namespace ModelOps.Temporal;

/// <summary>Listing and counting runs by the query language, and the search attributes that it knows.</summary>
internal sealed class VisibilityCalls(Engine engine)
{
    private const int defaultPageSize = 1000;

    public async Task<ListWorkflowExecutionsResponse> ListAsync(ListWorkflowExecutionsRequest request, CancellationToken cancellationToken)
    {
        var query = await ParseAsync(request.Namespace, request.Query).ConfigureAwait(false);
        var size = request.PageSize is > 0 and < defaultPageSize ? request.PageSize : defaultPageSize;
        using var reader = engine.Read();
        var rows = Checked(() => reader.List(query.Page(request.Namespace, size, request.NextPageToken.ToStringUtf8())));
        return new()
        {
            Executions = { rows.Select(row => row.Info) },
            NextPageToken = rows.Count == size ? ByteString.CopyFromUtf8(VisibilityQuery.PageToken(rows[^1].Key)) : ByteString.Empty,
        };
    }

    public async Task<CountWorkflowExecutionsResponse> CountAsync(CountWorkflowExecutionsRequest request, CancellationToken cancellationToken)
    {
        var query = await ParseAsync(request.Namespace, request.Query).ConfigureAwait(false);
        using var reader = engine.Read();
        var counts = Checked(() => reader.Count(query.Count(request.Namespace)));
        var groups = counts.Where(count => count.Status is not null).Select(count => new CountWorkflowExecutionsResponse.Types.AggregationGroup
        {
            GroupValues = { Keyword($"{count.Status}") },
            Count = count.Count,
        });
        return new() { Count = counts.Sum(count => count.Count), Groups = { groups } };
    }

    public static Task<GetSearchAttributesResponse> GetSearchAttributesAsync(GetSearchAttributesRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new GetSearchAttributesResponse { Keys = { VisibilityField.Predefined.ToDictionary() } });

    private static Payload Keyword(string value) => new()
    {
        Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain"), ["type"] = ByteString.CopyFromUtf8("Keyword") },
        Data = ByteString.CopyFromUtf8($"\"{value}\""),
    };

    private static T Checked<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (VisibilityException fault)
        {
            throw RpcErrors.InvalidArgument(fault.Message);
        }
    }

    private Task<VisibilityQuery> ParseAsync(string ns, string text) =>
        engine.TransactAsync(() => Checked(() => VisibilityQuery.Parse(text, engine.Namespaces.AttributeTypes(ns))));
}
