using System.Globalization;
using System.Net.ServerSentEvents;
using ModelOps.Client;
using ModelOps.Server.Training;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

public static class JobEndpoints
{
    private const int ListLimit = 200;

    public static void MapJobs(this IEndpointRouteBuilder api)
    {
        var jobs = api.MapGroup("/jobs").WithTags("jobs");
        jobs.MapGet("/", async (JobStore store, CancellationToken cancellationToken) =>
            new Page<Job>(await store.ListAsync(ListLimit, cancellationToken)))
            .WithName("listJobs").WithSummary("Lists the latest jobs.");
        jobs.MapGet("/{id}", async (string id, JobStore store, JobCheckpoints checkpoints, CancellationToken cancellationToken) =>
            await store.GetAsync(id, cancellationToken) is { } job ? Results.Ok(await checkpoints.AddToAsync(job, cancellationToken)) : NoSuchJob(id))
            .WithName("getJob").WithSummary("Tells of a job.").Produces<Job>();
        jobs.MapPost("/{id}/cancel", (string id, JobService service, CancellationToken cancellationToken) => WishAsync(id, JobWish.Cancel, service, cancellationToken))
            .WithName("cancelJob").WithSummary("Cancels a job; a running one ends at its next step.").Produces<Job>();
        jobs.MapPost("/{id}/pause", (string id, JobService service, CancellationToken cancellationToken) => WishAsync(id, JobWish.Pause, service, cancellationToken))
            .WithName("pauseJob").WithSummary("Stops a job's work until it is resumed; what it did so far is kept as its checkpoints have it.").Produces<Job>();
        jobs.MapPost("/{id}/resume", (string id, JobService service, CancellationToken cancellationToken) => WishAsync(id, JobWish.Run, service, cancellationToken))
            .WithName("resumeJob").WithSummary("Lets a paused job go on.").Produces<Job>();
        jobs.MapPost("/{id}/retry", RetryAsync)
            .WithName("retryJob").WithSummary("Runs a failed or canceled job again, under the same id.").Produces<Job>();
        jobs.MapPost("/{id}/reports", async (string id, JobReport report, JobReports reports, CancellationToken cancellationToken) =>
            {
                await reports.AcceptAsync(id, report, cancellationToken);
                return Results.NoContent();
            })
            .ExcludeFromDescription();
        jobs.MapGet("/{id}/events", EventsAsync)
            .WithName("watchJob").WithSummary("Streams the events of a job (SSE) until its end.").Produces<JobEvent>(contentType: "text/event-stream");
        jobs.MapGet("/{id}/events/ws", JobSocket.AnswerAsync)
            .WithName("watchJobBySocket").WithSummary("Sends the events of a job over a WebSocket until its end, those behind the number 'after'.")
            .Produces(StatusCodes.Status101SwitchingProtocols).Produces<JobEvent>();
        jobs.MapMethods("/{id}/events/ws", [HttpMethods.Connect], JobSocket.AnswerAsync).ExcludeFromDescription(); // by HTTP/2: RFC 8441
    }

    public static IResult Accepted(Job job) => Results.Accepted($"/api/v1/jobs/{job.Id}", job);

    private static async Task<IResult> WishAsync(string id, JobWish wish, JobService service, CancellationToken cancellationToken) =>
        await service.WishAsync(id, wish, cancellationToken) is { } job ? Results.Ok(job) : NoSuchJob(id);

    private static async Task<IResult> RetryAsync(string id, JobService service, JobStore store, CancellationToken cancellationToken)
    {
        var retried = await service.RetryAsync(id, cancellationToken);
        if (await store.GetAsync(id, cancellationToken) is not { } job) return NoSuchJob(id);
        return retried ? Results.Ok(job) : Problems.Conflict($"job {id} is {JobViews.Text(job.State)}; only one that failed or was canceled is run again");
    }

    /// <summary>SSE: one event per change, numbered; <c>Last-Event-ID</c> goes on behind that one.</summary>
    private static async Task<IResult> EventsAsync(string id, HttpRequest request, JobStore store, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(id, cancellationToken) is null) return NoSuchJob(id);
        var last = request.Headers["Last-Event-ID"].ToString();
        var after = 0L;
        if (last.Length > 0 && !long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out after))
            return Problems.Invalid($"Last-Event-ID must be the number of an event, not '{last}'");
        return TypedResults.ServerSentEvents(Items(store.EventsAsync(id, after, cancellationToken)));
    }

    private static async IAsyncEnumerable<SseItem<JobEvent>> Items(IAsyncEnumerable<JobEvent> events)
    {
        await foreach (var next in events)
            yield return new SseItem<JobEvent>(next, "job") { EventId = next.Sequence.ToString(CultureInfo.InvariantCulture) };
    }

    public static IResult NoSuchJob(string id) => Problems.NotFound($"no job {id}; GET /api/v1/jobs lists them");
}
