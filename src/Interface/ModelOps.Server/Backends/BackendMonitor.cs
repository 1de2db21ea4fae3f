using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.Configuration;

namespace ModelOps.Server.Backends;

/// <summary>Asks every configured backend for its models again and again, and routes to those that answer.</summary>
public sealed partial class BackendMonitor(ServerConfig config, ModelRouter router, TimeProvider time, ILogger<BackendMonitor> logger) : BackgroundService
{
    private readonly IReadOnlyList<Backend> backends =
        [.. config.Backends.OrderBy(backend => backend.Key, StringComparer.Ordinal).Select(backend => new Backend(backend.Key, backend.Value, time))];

    public IReadOnlyList<BackendStatus> List() => [.. backends.Select(backend => backend.View)];

    public override void Dispose()
    {
        base.Dispose();
        foreach (var backend in backends) backend.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(backends.Select(backend => WatchAsync(backend, stoppingToken)));

    private async Task WatchAsync(Backend backend, CancellationToken stoppingToken)
    {
        using var tick = new PeriodicTimer(backend.Options.CheckEvery, time);
        do
        {
            var before = backend.View;
            var models = await backend.CheckAsync(time.GetUtcNow(), stoppingToken);
            router.SetAll(
                backend.Resilient,
                models.ToDictionary(
                    model => model, model => new ModelRoute(backend.Resilient, model) { CreatedAt = time.GetUtcNow(), OwnedBy = backend.Name }, StringComparer.Ordinal));
            Tell(before, backend.View);
        }
        while (await tick.WaitForNextTickAsync(stoppingToken));
    }

    private void Tell(BackendStatus before, BackendStatus now)
    {
        if (now.State == before.State && now.Error == before.Error) return;
        if (now.State == BackendStates.Ready && logger.IsEnabled(LogLevel.Information)) Log.Ready(logger, now.Name, string.Join(", ", now.Models));
        if (now.Error is { } error) Log.Faulty(logger, now.Name, now.State, error);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "backend {Name} answers for {Models}")]
        public static partial void Ready(ILogger logger, string name, string models);

        [LoggerMessage(2, LogLevel.Warning, "backend {Name} is {State}: {Error}")]
        public static partial void Faulty(ILogger logger, string name, string state, string error);
    }
}

public static class BackendEndpoints
{
    public static void AddBackends(this IServiceCollection services) =>
        services.AddSingleton<BackendMonitor>().AddHostedService(provider => provider.GetRequiredService<BackendMonitor>());

    public static void MapBackends(this IEndpointRouteBuilder api) => api.MapGet("/backends", (BackendMonitor backends) => new Page<BackendStatus>(backends.List()))
        .WithTags("backends").WithName("listBackends").WithSummary("Lists the configured servers of others, and how they fare.");
}
