using System.Globalization;
using System.Net.ServerSentEvents;
using ModelOps.Client;

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
        jobs.MapGet("/{id}", async (string id, JobStore store, CancellationToken cancellationToken) =>
            await store.GetAsync(id, cancellationToken) is { } job ? Results.Ok(job) : NoSuchJob(id))
            .WithName("getJob").WithSummary("Tells of a job.").Produces<Job>();
        jobs.MapPost("/{id}/cancel", async (string id, JobQueue queue, CancellationToken cancellationToken) =>
            await queue.CancelAsync(id, cancellationToken) is { } job ? Results.Ok(job) : NoSuchJob(id))
            .WithName("cancelJob").WithSummary("Cancels a job; a running one ends at its next step.").Produces<Job>();
        jobs.MapGet("/{id}/events", EventsAsync)
            .WithName("watchJob").WithSummary("Streams the events of a job (SSE) until its end.").Produces<JobEvent>(contentType: "text/event-stream");
        jobs.MapGet("/{id}/events/ws", JobSocket.AnswerAsync)
            .WithName("watchJobBySocket").WithSummary("Sends the events of a job over a WebSocket until its end, those behind the number 'after'.")
            .Produces(StatusCodes.Status101SwitchingProtocols).Produces<JobEvent>();
        jobs.MapMethods("/{id}/events/ws", [HttpMethods.Connect], JobSocket.AnswerAsync).ExcludeFromDescription(); // by HTTP/2: RFC 8441
    }

    public static IResult Accepted(Job job) => Results.Accepted($"/api/v1/jobs/{job.Id}", job);

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
