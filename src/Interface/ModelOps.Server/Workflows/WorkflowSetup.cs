using ModelOps.Server.Jobs;

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
        services.AddSingleton<WorkerDemand>();
    }
}
