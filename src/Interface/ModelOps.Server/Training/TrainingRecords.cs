using ModelOps.Client;
using ModelOps.Server.Jobs;

namespace ModelOps.Server.Training;

/// <summary>What a job's training leaves while it runs: checkpoints, series of metrics, samples.</summary>
public static class TrainingRecords
{
    public static void AddTrainingRecords(this IServiceCollection services)
    {
        services.AddSingleton<JobMetrics>();
        services.AddSingleton<JobSamples>();
        services.AddSingleton<JobCheckpoints>();
        services.AddSingleton<TrainingTimes>();
    }

    public static void MapTrainingRecords(this IEndpointRouteBuilder api)
    {
        api.MapGet("/jobs/{id}/checkpoints", CheckpointsAsync).WithTags("jobs")
            .WithName("listCheckpoints").WithSummary("Lists the checkpoints of a job that can go on from them.").Produces<Page<JobCheckpoint>>();
        api.MapGet("/jobs/{id}/metrics", MetricsAsync).WithTags("jobs")
            .WithName("getJobMetrics").WithSummary("Tells the course of a job's metrics, step by step or reduced to so many points.").Produces<Page<MetricSeries>>();
        api.MapGet("/jobs/{id}/samples", SamplesAsync).WithTags("jobs")
            .WithName("listJobSamples").WithSummary("Lists what the model made of a few prompts whenever it was measured, the last step first.").Produces<Page<JobSample>>();
    }

    private static async Task<IResult> CheckpointsAsync(string id, JobStore jobs, JobCheckpoints checkpoints, CancellationToken cancellationToken) =>
        await jobs.GetAsync(id, cancellationToken) is null
            ? JobEndpoints.NoSuchJob(id)
            : Results.Ok(new Page<JobCheckpoint>(await checkpoints.ListAsync(id, cancellationToken)));

    /// <param name="after">Only steps behind this one.</param>
    /// <param name="before">Only steps before this one.</param>
    /// <param name="steps">Of so many steps at most, the last of them.</param>
    private static async Task<IResult> SamplesAsync(
        string id, long? after, long? before, int? steps, JobStore jobs, JobSamples samples, CancellationToken cancellationToken)
    {
        if (steps is < 1 or > JobSamples.MostSteps) return Problems.Invalid($"steps must be from 1 to {JobSamples.MostSteps}, not {steps}");
        return await jobs.GetAsync(id, cancellationToken) is null
            ? JobEndpoints.NoSuchJob(id)
            : Results.Ok(new Page<JobSample>(await samples.ReadAsync(id, after ?? -1, before, steps ?? JobSamples.DefaultSteps, cancellationToken)));
    }

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
