using ModelOps.Server.Jobs;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

internal static class WorkerServices
{
    /// <summary>The supervisor is registered, and so starts, before what needs workers and stops after it.</summary>
    public static void AddWorkers(this IServiceCollection services, WorkersOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<WorkerBacklog>(provider => (role, cancellationToken) => role == WorkerRole.Inference
            ? ValueTask.FromResult(0) // deployments lease theirs
            : provider.GetRequiredService<WorkerDemand>().WaitingAsync(role, cancellationToken));
        services.AddSingleton<WorkerObituary>(provider => (role, processId, how) =>
            provider.GetRequiredService<JobReports>().WorkerDiedAsync(WorkerIdentity.Of(role, processId), how, CancellationToken.None));
        services.AddSingleton<WorkerSupervisor>().AddHostedService(provider => provider.GetRequiredService<WorkerSupervisor>());
        services.AddSingleton<WorkerMeters>();
    }
}
