using ModelOps.Client;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

public static class WorkerEndpoints
{
    public static void MapWorkers(this IEndpointRouteBuilder api)
    {
        api.MapGet("/workers", (WorkerSupervisor workers) => new Page<Worker>(workers.List()))
            .WithTags("workers").WithName("listWorkers").WithSummary("Lists the worker processes that this server runs.");
        api.MapPost("/workers/spans", (IReadOnlyList<SpanRecord> told, SpanStore spans) =>
            {
                foreach (var span in told) spans.Add(span);
                return Results.NoContent();
            })
            .ExcludeFromDescription();
        api.MapGet("/workers/settings", (WorkflowsOptions options) => new WorkerSettings(options.Namespace)).ExcludeFromDescription();
    }
}
