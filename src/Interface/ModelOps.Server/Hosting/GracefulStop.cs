using Microsoft.AspNetCore.Http.Features;

namespace ModelOps.Server.Hosting;

/// <summary>
/// When the server stops, requests have a second to end by themselves; then they are canceled. A stream of events would else last as long as its
/// reader wants.
/// </summary>
public static class GracefulStop
{
    private static readonly TimeSpan grace = TimeSpan.FromSeconds(1);

    public static void UseGracefulStop(this WebApplication app)
    {
#pragma warning disable CA2000 // disposed when the application has stopped
        var ended = new CancellationTokenSource();
#pragma warning restore CA2000
        app.Lifetime.ApplicationStopping.Register(() => ended.CancelAfter(grace));
        app.Lifetime.ApplicationStopped.Register(ended.Dispose);
        app.Use(async (context, next) =>
        {
            var lifetime = context.Features.GetRequiredFeature<IHttpRequestLifetimeFeature>();
            using var either = CancellationTokenSource.CreateLinkedTokenSource(lifetime.RequestAborted, ended.Token);
            var stop = new StoppedRequest(lifetime, either.Token);
            context.Features.Set<IHttpRequestLifetimeFeature>(stop);
            try
            {
                await next(context);
            }
            catch (OperationCanceledException) when (ended.IsCancellationRequested)
            {
                context.Abort();
            }
            finally
            {
                context.Features.Set(lifetime);
            }
        });
    }

    private sealed class StoppedRequest(IHttpRequestLifetimeFeature inner, CancellationToken token) : IHttpRequestLifetimeFeature
    {
        public CancellationToken RequestAborted { get; set; } = token;

        public void Abort() => inner.Abort();
    }
}
