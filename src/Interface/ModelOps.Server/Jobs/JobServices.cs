using ModelOps.Registry;
using ModelOps.Server.Configuration;

namespace ModelOps.Server.Jobs;

internal static class JobServices
{
    // Without Redis the servers on one PostgreSQL hear nothing of each other.
    private static readonly TimeSpan lookOnSharedDatabase = TimeSpan.FromSeconds(1);

    /// <summary>Who tells the watchers of jobs, as the configuration has it.</summary>
    public static void AddJobNews(this IServiceCollection services, ServerConfig config)
    {
        if (config.Redis.Connection is not null)
        {
            services.AddSingleton<JobNews, RedisJobNews>();
            return;
        }
        var lookAnyway = config.Database.Provider == MetadataOptions.PostgreSql ? lookOnSharedDatabase : Timeout.InfiniteTimeSpan;
        services.AddSingleton(provider => new JobNews(lookAnyway, provider.GetRequiredService<TimeProvider>()));
    }
}
