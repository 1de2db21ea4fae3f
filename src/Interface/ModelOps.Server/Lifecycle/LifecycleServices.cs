using ModelOps.Registry;
using ModelOps.Server.Artifacts;

namespace ModelOps.Server.Lifecycle;

public static class LifecycleServices
{
    public static void AddLifecycle(this IServiceCollection services, LifecycleOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<ArtifactLifecycle>();
        services.AddSingleton<ArtifactAliases>();
        services.AddSingleton<ArtifactDeletions>();
        services.AddSingleton<ArtifactLineage>();
        services.AddSingleton<ArtifactViews>();
        services.AddSingleton<BlobUses>();
        services.AddSingleton<ArtifactRetention>();
        services.AddHostedService<DailyRetention>();
    }
}
