using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Client;
using Yarp.ReverseProxy.Forwarder;

namespace ModelOps.Server.Workflows;

/// <summary>
/// Workers, of this machine and of others, reach the workflows through the server's own TLS port with the token that they have for it. They may
/// call what an activity worker calls and nothing else, and never hold what opens the service itself.
/// </summary>
public sealed class WorkflowGateway(WorkflowEngine engine, WorkflowsOptions options, IHttpForwarder forwarder) : IDisposable
{
    public const string Service = "/temporal.api.workflowservice.v1.WorkflowService";

    private static readonly string[] methods =
    [
        "DescribeNamespace", "GetSystemInfo", "PollActivityTaskQueue", "RecordActivityTaskHeartbeat", "RecordWorkerHeartbeat",
        "RespondActivityTaskCanceled", "RespondActivityTaskCompleted", "RespondActivityTaskFailed", "ShutdownWorker",
    ];

    // A poll waits a minute for its activity.
    private static readonly ForwarderRequestConfig request = new()
    {
        ActivityTimeout = TimeSpan.FromMinutes(3),
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private readonly HttpMessageInvoker http = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,
        ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
        SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = options.Ca is { } file ? Trusting(file) : null },
    });

    public static void Map(WebApplication app)
    {
        foreach (var method in methods)
            app.MapPost($"{Service}/{method}", (WorkflowGateway gateway, HttpContext context) => gateway.ForwardAsync(context)).ExcludeFromDescription();
    }

    public void Dispose() => http.Dispose();

    private async Task ForwardAsync(HttpContext context)
    {
        var (address, token) = await engine.TargetAsync(context.RequestAborted);
        var error = await forwarder.SendAsync(context, address.AbsoluteUri, http, request, new BearerOf(token));
        if (error != ForwarderError.None && !context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
            await Problems.Of(ProblemTypes.Unavailable, StatusCodes.Status503ServiceUnavailable, "the workflows' service does not answer; try again").ExecuteAsync(context);
    }

    private static X509ChainPolicy Trusting(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy;
    }

    private sealed class BearerOf(string? token) : HttpTransformer
    {
        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            proxyRequest.Headers.Host = null;
            proxyRequest.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        }
    }
}
