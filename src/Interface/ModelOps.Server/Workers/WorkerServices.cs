using ModelOps.Server.Deployments;
using ModelOps.Server.Jobs;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

internal static class WorkerServices
{
    /// <summary>The supervisor is registered, and so starts, before what needs workers and stops after it.</summary>
    public static void AddWorkers(this IServiceCollection services, WorkersOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<WorkerBacklog>(provider => (role, _) => ValueTask.FromResult(role == WorkerRole.Inference
            ? provider.GetRequiredService<DeploymentManager>().List().Count(deployment => deployment.State != DeploymentStates.Failed)
            : provider.GetRequiredService<JobQueue>().Waiting(role)));
        services.AddSingleton<WorkerSupervisor>().AddHostedService(provider => provider.GetRequiredService<WorkerSupervisor>());
    }
}
