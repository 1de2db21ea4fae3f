namespace ModelOps.Server.Hosting;

/// <summary>
/// What browsers are told of every answer. An endpoint's own header wins. HSTS only with a certificate of the user's own: with the local CA it
/// would bind every other server on localhost to HTTPS.
/// </summary>
public static class SecurityHeaders
{
    private const string Nothing = "default-src 'none'; frame-ancestors 'none'";
    private static readonly PathString[] data = ["/api", "/v1", "/healthz", "/readyz", "/metrics", "/openapi"];

    public static void UseSecurityHeaders(this WebApplication app, TlsOptions tls)
    {
        var strict = tls.Certificate is not null;
        app.Use((context, next) =>
        {
            context.Response.OnStarting(() =>
            {
                var headers = context.Response.Headers;
                headers.XContentTypeOptions = "nosniff";
                if (headers["Referrer-Policy"].Count == 0) headers["Referrer-Policy"] = "no-referrer";
                headers.XFrameOptions = "DENY";
                if (strict && context.Request.Host.Host != "localhost") headers.StrictTransportSecurity = "max-age=31536000";
                if (!Array.Exists(data, path => context.Request.Path.StartsWithSegments(path))) return Task.CompletedTask;
                if (headers.CacheControl.Count == 0) headers.CacheControl = "no-store";
                if (headers.ContentSecurityPolicy.Count == 0) headers.ContentSecurityPolicy = Nothing;
                return Task.CompletedTask;
            });
            return next(context);
        });
    }
}
