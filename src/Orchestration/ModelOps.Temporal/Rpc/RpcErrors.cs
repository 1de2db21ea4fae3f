using Grpc.Core;
using Temporalio.Api.ErrorDetails.V1;

namespace ModelOps.Temporal;

/// <summary>The errors of Temporal's server, with the details that its SDKs read.</summary>
internal static class RpcErrors
{
    private const string detailsHeader = "grpc-status-details-bin";

    public static RpcException InvalidArgument(string message) => new(new Status(StatusCode.InvalidArgument, message));

    public static RpcException WorkflowNotFound(string workflowId) =>
        NotFound($"workflow not found for ID: {workflowId}");

    public static RpcException WorkflowClosed() => NotFound("workflow execution already completed");

    public static RpcException WorkflowTaskNotFound() => NotFound("Workflow task not found.");

    public static RpcException ActivityTaskNotFound() =>
        NotFound("invalid activityID or activity already timed out or invoking workflow is completed");

    public static RpcException NotFound(string message) => WithDetails(StatusCode.NotFound, message, new NotFoundFailure());

    public static RpcException NamespaceNotFound(string name) => WithDetails(
        StatusCode.NotFound, $"Namespace {name} is not found.", new NamespaceNotFoundFailure { Namespace = name });

    public static RpcException AlreadyStarted(RunRow running) => WithDetails(
        StatusCode.AlreadyExists,
        $"Workflow execution is already running. WorkflowId: {running.Key.WorkflowId}, RunId: {running.Key.RunId}.",
        new WorkflowExecutionAlreadyStartedFailure { RunId = running.Key.RunId, StartRequestId = running.RequestId });

    public static RpcException WithDetails(StatusCode code, string message, IMessage detail)
    {
        var trailers = new Metadata { { detailsHeader, StatusMessage((int)code, message, Any.Pack(detail)) } };
        return new RpcException(new Status(code, message), trailers);
    }

    /// <summary>What an error says beside its message, to be packed into another error.</summary>
    public static IEnumerable<Any> Details(RpcException error)
    {
        if (error.Trailers.GetValueBytes(detailsHeader) is not { } status)
            return [];
        using var input = new CodedInputStream(status);
        var details = new List<Any>();
        while (input.ReadTag() is not 0 and var tag)
        {
            if (WireFormat.GetTagFieldNumber(tag) == 3)
            {
                var detail = new Any();
                input.ReadMessage(detail);
                details.Add(detail);
            }
            else
            {
                input.SkipLastField();
            }
        }
        return details;
    }

    /// <summary>The message google.rpc.Status: code = 1, message = 2, details = 3.</summary>
    private static byte[] StatusMessage(int code, string message, Any detail)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            output.WriteTag(1, WireFormat.WireType.Varint);
            output.WriteInt32(code);
            output.WriteTag(2, WireFormat.WireType.LengthDelimited);
            output.WriteString(message);
            output.WriteTag(3, WireFormat.WireType.LengthDelimited);
            output.WriteMessage(detail);
        }
        return bytes.ToArray();
    }
}
