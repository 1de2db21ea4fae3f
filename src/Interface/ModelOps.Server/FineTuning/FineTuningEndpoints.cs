using System.Text.Json;
using ModelOps.Client;
using ModelOps.Server.Jobs;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Security;
using ModelOps.Server.Training;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;

namespace ModelOps.Server.FineTuning;

/// <summary>/v1/fine_tuning/jobs as OpenAI has it, over jobs of the kind <c>fine_tuning</c>.</summary>
public static class FineTuningEndpoints
{
    private const int DefaultJobs = 20;
    private const int DefaultCheckpoints = 10;
    private const int MostItems = 100;

    /// <summary>How long an answer waits until the job is as its user wishes; a step that runs is told to stop first.</summary>
    private static readonly TimeSpan settling = TimeSpan.FromSeconds(10);

    public static void AddFineTuning(this IServiceCollection services, FineTuningOptions options)
    {
        services.AddSingleton(options).AddSingleton<FineTuningJobs>().AddSingleton<FineTuningRequests>();
        services.AddSingleton<IControlActivities, FineTuningActivities>();
    }

    public static void MapFineTuning(this IEndpointRouteBuilder api)
    {
        var jobs = api.MapGroup("/fine_tuning/jobs");
        jobs.MapPost("/", CreateAsync)
            .WithName("openaiCreateFineTuningJob").WithSummary("Starts a job that fine-tunes a model, quantizes and serves it.")
            .Accepts<CreateFineTuningJob>("application/json").Produces<FineTuningJobObject>();
        jobs.MapGet("/", ListAsync)
            .WithName("openaiListFineTuningJobs").WithSummary("Lists your fine-tuning jobs, newest first.").Produces<FineTuningJobList>();
        jobs.MapGet("/{id}", async (string id, FineTuningJobs store, TimeProvider time, HttpContext context, CancellationToken cancellationToken) =>
            await store.FindAsync(id, context.Principal(), cancellationToken) is { } job ? Told(job, time) : NoSuchJob(id))
            .WithName("openaiGetFineTuningJob").WithSummary("Tells of a fine-tuning job.").Produces<FineTuningJobObject>();
        jobs.MapGet("/{id}/events", EventsAsync)
            .WithName("openaiListFineTuningEvents").WithSummary("Lists what happened in a fine-tuning job, newest first.").Produces<FineTuningEventList>();
        jobs.MapGet("/{id}/checkpoints", CheckpointsAsync)
            .WithName("openaiListFineTuningCheckpoints").WithSummary("Lists the checkpoints of a fine-tuning job, newest first.").Produces<FineTuningCheckpointList>();
        Map("cancel", "openaiCancelFineTuningJob", "Cancels a fine-tuning job.", JobWish.Cancel, state => state.IsFinal);
        Map("pause", "openaiPauseFineTuningJob", "Stops a fine-tuning job until it is resumed.", JobWish.Pause, state => state == JobState.Paused || state.IsFinal);
        Map("resume", "openaiResumeFineTuningJob", "Lets a paused fine-tuning job go on.", JobWish.Run, state => state != JobState.Paused);

        void Map(string verb, string name, string summary, JobWish wish, Func<JobState, bool> isAsWished) => jobs
            .MapPost($"/{{id}}/{verb}", (string id, FineTuningJobs store, JobService service, TimeProvider time, HttpContext context, CancellationToken cancellationToken) =>
                WishAsync(id, verb, wish, isAsWished, store, service, time, context, cancellationToken))
            .WithName(name).WithSummary(summary).Produces<FineTuningJobObject>();
    }

    private static async Task<IResult> CreateAsync(
        HttpContext context, FineTuningRequests requests, JobService jobs, TimeProvider time, CancellationToken cancellationToken)
    {
        var create = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.CreateFineTuningJob, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        if (await requests.ReadAsync(create, context.Principal(), faults, cancellationToken) is not { } input) return Problems.Invalid(faults);
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.FineTuningInput);
        switch (await jobs.CreateAsync(JobKinds.FineTune, json, JobPriority.Normal, context.Principal(), cancellationToken))
        {
            case JobCreation.Created { Job: var job }:
                AuditTrail.SetSubject(context, job.Id);
                return Told(job, time);
            case JobCreation.OverQuota over:
                return Problems.Of(ProblemTypes.QuotaExceeded, StatusCodes.Status429TooManyRequests, over.Reason);
            case var other:
                throw new InvalidOperationException($"unknown outcome {other}");
        }
    }

    private static async Task<IResult> ListAsync(
        string? after, int? limit, FineTuningJobs store, TimeProvider time, HttpContext context, CancellationToken cancellationToken)
    {
        var faults = new Faults();
        var most = Limit(limit, DefaultJobs, faults);
        if (after is not null && FineTuningIds.ToJob(after) is null) faults.Add("after", $"must be the id of a fine-tuning job, not '{after}'");
        if (faults.Any) return Problems.Invalid(faults);
        var found = await store.ListAsync(after, MetadataFilter(context.Request.Query), most + 1, context.Principal(), cancellationToken);
        return Results.Json(
            new FineTuningJobList("list", [.. found.Take(most).Select(job => FineTuningViews.Of(job, time.GetUtcNow()))], found.Count > most), OpenAIJson.Default.FineTuningJobList);
    }

    /// <summary><c>metadata[k]=v</c> for each pair that a job must have, or <c>metadata=null</c> for jobs without any.</summary>
    private static Func<FineTuningInput, bool> MetadataFilter(IQueryCollection query)
    {
        if (query["metadata"] == "null") return input => input.Metadata is null or { Count: 0 };
        var wanted = query.Where(pair => pair.Key.StartsWith("metadata[", StringComparison.Ordinal) && pair.Key.EndsWith(']'))
            .Select(pair => (Key: pair.Key["metadata[".Length..^1], Value: pair.Value.ToString())).ToList();
        return input => wanted.TrueForAll(pair => input.Metadata is { } metadata && metadata.TryGetValue(pair.Key, out var value) && value == pair.Value);
    }

    private static async Task<IResult> EventsAsync(
        string id, string? after, int? limit, FineTuningJobs store, JobStore jobs, HttpContext context, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(id, context.Principal(), cancellationToken) is not { } job) return NoSuchJob(id);
        var faults = new Faults();
        var most = Limit(limit, DefaultJobs, faults);
        var before = After(after, job.Id, faults);
        if (faults.Any) return Problems.Invalid(faults);
        var found = await jobs.ReadEventsBeforeAsync(job.Id, before, most + 1, cancellationToken);
        return Results.Json(
            new FineTuningEventList("list", [.. found.Take(most).Select(told => FineTuningViews.Of(job, told))], found.Count > most), OpenAIJson.Default.FineTuningEventList);
    }

    private static async Task<IResult> CheckpointsAsync(
        string id, string? after, int? limit, FineTuningJobs store, JobCheckpoints checkpoints, JobMetrics metrics, HttpContext context, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(id, context.Principal(), cancellationToken) is not { } job) return NoSuchJob(id);
        var faults = new Faults();
        var most = Limit(limit, DefaultCheckpoints, faults);
        var before = After(after, job.Id, faults);
        if (faults.Any) return Problems.Invalid(faults);
        var all = FineTuningViews.LastStepOf(job) is { } step
            ? [FineTuningViews.Last(job, (await metrics.AtAsync(job.Id, "loss", [step], cancellationToken)).TryGetValue(step, out var loss) ? loss : null)!]
            : (await checkpoints.ListAsync(job.Id, cancellationToken)).Reverse().Select(kept => FineTuningViews.Of(job, kept)).ToList();
        List<FineTuningCheckpoint> found = [.. all.Where(one => before is null || one.StepNumber < before)];
        List<FineTuningCheckpoint> page = [.. found.Take(most)];
        return Results.Json(
            new FineTuningCheckpointList("list", page, page.FirstOrDefault()?.Id, page.LastOrDefault()?.Id, found.Count > most), OpenAIJson.Default.FineTuningCheckpointList);
    }

    private static async Task<IResult> WishAsync(
        string id, string verb, JobWish wish, Func<JobState, bool> isAsWished, FineTuningJobs store, JobService service, TimeProvider time, HttpContext context,
        CancellationToken cancellationToken)
    {
        if (await store.FindAsync(id, context.Principal(), cancellationToken) is not { } job) return NoSuchJob(id);
        if (job.State.IsFinal) return Problems.Invalid($"{id} has ended ({FineTuningViews.Of(job, time.GetUtcNow()).Status}): there is nothing to {verb}");
        AuditTrail.SetSubject(context, job.Id);
        return Told((await service.WishAsync(job.Id, wish, isAsWished, settling, cancellationToken))!, time);
    }

    private static int Limit(int? limit, int byDefault, Faults faults)
    {
        faults.Check("limit", limit, value => value is >= 1 and <= MostItems, $"from 1 to {MostItems}");
        return limit ?? byDefault;
    }

    private static long? After(string? after, string job, Faults faults)
    {
        var number = after is null ? null : FineTuningIds.NumberOf(after, job);
        if (after is not null && number is null) faults.Add("after", $"must be an id of a list of this job, not '{after}'");
        return number;
    }

    private static IResult Told(Job job, TimeProvider time) => Results.Json(FineTuningViews.Of(job, time.GetUtcNow()), OpenAIJson.Default.FineTuningJobObject);

    private static IResult NoSuchJob(string id) => Problems.NotFound($"no fine-tuning job {id} of yours; GET /v1/fine_tuning/jobs lists them");
}
