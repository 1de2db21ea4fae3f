using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace ModelOps.Temporal;

/// <summary>gRPC answers that no method gives: a status without a message.</summary>
internal static class GrpcStatus
{
    public static Task UnimplementedAsync(HttpContext context) =>
        WriteAsync(context, StatusCode.Unimplemented, $"{context.Request.Path.Value?.TrimStart('/')} is not implemented by this server.");

    public static Task UnauthenticatedAsync(HttpContext context) =>
        WriteAsync(context, StatusCode.Unauthenticated, "The call carries no valid token.");

    private static Task WriteAsync(HttpContext context, StatusCode code, string message)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = $"{(int)code}";
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString(message);
        return context.Response.CompleteAsync();
    }
}
