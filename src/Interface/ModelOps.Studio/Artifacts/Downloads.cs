using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;
using ModelOps.Client;
using ModelOps.Studio.SignIn;

namespace ModelOps.Studio.Artifacts;

/// <summary>Exports for the browser's folder of downloads: the API's package and files, with the person's token, passed on as they come.</summary>
internal static class Downloads
{
    public static string PathOf(string reference) => $"studio/artifacts/{Uri.EscapeDataString(reference)}/export";

    public static void MapDownloads(this IEndpointRouteBuilder app) =>
        app.MapGet("/studio/artifacts/{reference}/export", (Delegate)ExportAsync).AsStudio().ExcludeFromDescription();

    private static async Task ExportAsync(string reference, HttpContext context, StudioSessions sessions)
    {
        var response = context.Response;
        if (sessions.Find(context.User) is not { } session)
        {
            response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }
        using var client = sessions.Connect(session, context.Connection.RemoteIpAddress);
        var disposition = new ContentDispositionHeaderValue("attachment");
        disposition.SetHttpFileName($"{reference.Replace(':', '-')}.tar");
        (response.ContentType, response.Headers.ContentDisposition) = ("application/x-tar", disposition.ToString());
        try
        {
            await client.Packages.ExportAsync(reference, response.Body, context.RequestAborted).ConfigureAwait(false);
        }
        catch (ModelOpsException exception)
        {
            if (response.HasStarted)
            {
                context.Abort(); // the browser says that the download failed
                return;
            }
            response.Clear();
            response.StatusCode = exception.Problem.Status is 0 ? StatusCodes.Status503ServiceUnavailable : exception.Problem.Status;
            await response.WriteAsync(exception.Message, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
