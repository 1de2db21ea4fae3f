using ModelOps.Registry;
using ModelOps.Server.Configuration;
using ModelOps.Server.Training;

namespace ModelOps.Server.Jobs;

internal static class JobServices
{
    // Without Redis the servers on one PostgreSQL hear nothing of each other.
    private static readonly TimeSpan lookOnSharedDatabase = TimeSpan.FromSeconds(1);

    public static void AddJobs(this IServiceCollection services, ServerConfig config)
    {
        services.AddSingleton(config.Jobs.Quotas);
        services.AddJobNews(config);
        services.AddSingleton<JobTraces>().AddSingleton<JobMeters>();
        services.AddSingleton<JobStore>();
        services.AddSingleton<JobReferences>();
        services.AddSingleton<JobService>();
        services.AddSingleton<JobReports>();
        services.AddTrainingRecords();
        services.AddSingleton<JobReconciler>().AddHostedService(provider => provider.GetRequiredService<JobReconciler>());
    }

    /// <summary>Who tells the watchers of jobs, as the configuration has it.</summary>
    private static void AddJobNews(this IServiceCollection services, ServerConfig config)
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
