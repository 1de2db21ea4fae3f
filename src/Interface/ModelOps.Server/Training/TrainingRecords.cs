using ModelOps.Client;
using ModelOps.Server.Jobs;

namespace ModelOps.Server.Training;

/// <summary>What a job's training leaves while it runs: checkpoints and series of metrics.</summary>
public static class TrainingRecords
{
    public static void AddTrainingRecords(this IServiceCollection services)
    {
        services.AddSingleton<JobMetrics>();
        services.AddSingleton<JobCheckpoints>();
    }

    public static void MapTrainingRecords(this IEndpointRouteBuilder api)
    {
        api.MapGet("/jobs/{id}/checkpoints", CheckpointsAsync).WithTags("jobs")
            .WithName("listCheckpoints").WithSummary("Lists the checkpoints of a job that can go on from them.").Produces<Page<JobCheckpoint>>();
        api.MapGet("/jobs/{id}/metrics", MetricsAsync).WithTags("jobs")
            .WithName("getJobMetrics").WithSummary("Tells the course of a job's metrics, step by step or reduced to so many points.").Produces<Page<MetricSeries>>();
    }

    private static async Task<IResult> CheckpointsAsync(string id, JobStore jobs, JobCheckpoints checkpoints, CancellationToken cancellationToken) =>
        await jobs.GetAsync(id, cancellationToken) is null
            ? JobEndpoints.NoSuchJob(id)
            : Results.Ok(new Page<JobCheckpoint>(await checkpoints.ListAsync(id, cancellationToken)));

    /// <param name="name">Names of metrics; none: all.</param>
    /// <param name="after">Only steps behind this one.</param>
    /// <param name="points">Points of a series at most, chosen so that its shape stays.</param>
    private static async Task<IResult> MetricsAsync(
        string id, string[]? name, long? after, int? points, JobStore jobs, JobMetrics metrics, CancellationToken cancellationToken)
    {
        if (points is < Downsampling.Least or > JobMetrics.MostPoints)
            return Problems.Invalid($"points must be from {Downsampling.Least} to {JobMetrics.MostPoints}, not {points}");
        return await jobs.GetAsync(id, cancellationToken) is null
            ? JobEndpoints.NoSuchJob(id)
            : Results.Ok(new Page<MetricSeries>(await metrics.ReadAsync(id, name ?? [], after ?? -1, points, cancellationToken)));
    }
}
