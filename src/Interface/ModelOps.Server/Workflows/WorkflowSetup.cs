using ModelOps.Server.Jobs;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Workflows;

public static class WorkflowSetup
{
    public static void AddWorkflows(this IServiceCollection services, WorkflowsOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<WorkflowEngine>().AddHostedService(provider => provider.GetRequiredService<WorkflowEngine>());
        services.AddSingleton<IControlActivities, JobActivities>();
        services.AddSingleton<IControlActivities, RegistryActivities>();
        services.AddHttpForwarder();
        services.AddSingleton<WorkflowGateway>();
    }

    public static void AddJobs(this IServiceCollection services)
    {
        services.AddSingleton<JobStore>();
        services.AddSingleton<JobReferences>();
        services.AddSingleton<JobService>();
        services.AddSingleton<JobReports>();
        services.AddSingleton<WorkerSupervisor>();
        services.AddSingleton<WorkerDemand>();
        services.AddHostedService<WorkerStarter>();
        services.AddSingleton<JobReconciler>().AddHostedService(provider => provider.GetRequiredService<JobReconciler>());
    }

    public static void MapWorkers(this IEndpointRouteBuilder api) =>
        api.MapGet("/workers/settings", (WorkflowsOptions options) => new WorkerSettings(options.Namespace)).ExcludeFromDescription();
}
