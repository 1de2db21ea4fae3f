using System.Globalization;
using System.Net.ServerSentEvents;
using ModelOps.Client;
using ModelOps.Server.Security;
using ModelOps.Server.Training;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

public static class JobEndpoints
{
    private const int DefaultRows = 100;
    private const int MostRows = 1000;
    private const int DefaultLines = 1000;
    private const int TraceIdLength = 32; // W3C

    public static void MapJobs(this IEndpointRouteBuilder api)
    {
        var jobs = api.MapGroup("/jobs").WithTags("jobs");
        jobs.MapGet("/", ListAsync)
            .WithName("listJobs").WithSummary("Lists jobs, newest first; those of some states or of a kind, if they are named.").Produces<Page<Job>>();
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
        jobs.MapGet("/{id}/logs", LogAsync)
            .WithName("listJobLogs").WithSummary("Lists what workers logged for a job, oldest first; with 'tail' the last lines, with 'trace' those of one trace.").Produces<Page<JobLogEntry>>();
        jobs.MapGet("/{id}/logs/stream", FollowLogAsync)
            .WithName("followJobLogs").WithSummary("Streams what workers log for a job (SSE) until its end; with 'trace' the lines of one trace.")
            .Produces<JobLogEntry>(contentType: "text/event-stream");
        jobs.MapGet("/{id}/trace", async (string id, JobStore store, JobTraces traces, CancellationToken cancellationToken) =>
            await store.GetAsync(id, cancellationToken) is { } job ? Results.Ok(await traces.ReadAsync(job, cancellationToken)) : NoSuchJob(id))
            .WithName("getJobTrace").WithSummary("Gives the spans of a job's trace, from the request that began it to its last activity.").Produces<JobTrace>();
        jobs.MapGet("/{id}/events", EventsAsync)
            .WithName("watchJob").WithSummary("Streams the events of a job (SSE) until its end.").Produces<JobEvent>(contentType: "text/event-stream");
        jobs.MapGet("/{id}/events/ws", JobSocket.AnswerAsync)
            .WithName("watchJobBySocket").WithSummary("Sends the events of a job over a WebSocket until its end, those behind the number 'after'.")
            .Produces(StatusCodes.Status101SwitchingProtocols).Produces<JobEvent>();
        jobs.MapMethods("/{id}/events/ws", [HttpMethods.Connect], JobSocket.AnswerAsync).ExcludeFromDescription(); // by HTTP/2: RFC 8441
    }

    public static IResult Accepted(JobCreation creation) => creation switch
    {
        JobCreation.Created { Job: var job } => Results.Accepted($"/api/v1/jobs/{job.Id}", job),
        JobCreation.OverQuota over => OverQuota(over.Reason),
        var other => throw new InvalidOperationException($"unknown outcome {other}"),
    };

    private static async Task<IResult> WishAsync(string id, JobWish wish, JobService service, CancellationToken cancellationToken) =>
        await service.WishAsync(id, wish, cancellationToken) is { } job ? Results.Ok(job) : NoSuchJob(id);

    private static async Task<IResult> RetryAsync(string id, JobService service, JobStore store, HttpContext context, CancellationToken cancellationToken)
    {
        var retry = await service.RetryAsync(id, context.Principal(), cancellationToken);
        if (await store.GetAsync(id, cancellationToken) is not { } job) return NoSuchJob(id);
        return retry switch
        {
            JobRetry.Retried => Results.Ok(job),
            JobRetry.OverQuota over => OverQuota(over.Reason),
            _ => Problems.Conflict($"job {id} is {JobViews.Text(job.State)}; only one that failed or was canceled is run again"),
        };
    }

    private static IResult OverQuota(string reason) => Problems.Of(ProblemTypes.QuotaExceeded, StatusCodes.Status429TooManyRequests, reason);

    /// <summary>The next page is what lies <paramref name="before"/> the id of the last job of this one.</summary>
    private static async Task<IResult> ListAsync(string[] state, string? kind, string? before, int? limit, JobStore store, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        var states = state.Select(name => Choice<JobState>("state", name, errors)).ToList();
        if (kind is not null && !JobKinds.Names.Contains(kind)) errors.Add($"kind must be {string.Join(" or ", JobKinds.Names)}, not '{kind}'");
        var rows = InRange("limit", limit, DefaultRows, MostRows, errors);
        if (errors.Count > 0) return Problems.Invalid(errors);
        return Results.Ok(new Page<Job>(await store.ListAsync(new JobQuery(states, kind, before, rows), cancellationToken)));
    }

    /// <summary>The next page is what lies <paramref name="after"/> the sequence of the last line of this one.</summary>
    /// <param name="level">The least that is of interest.</param>
    /// <param name="trace">Only lines of the trace with that id.</param>
    /// <param name="tail">The last lines, so many at most; then <paramref name="limit"/> is of no use.</param>
    private static async Task<IResult> LogAsync(
        string id, long? after, int? limit, string? level, string? trace, int? tail, JobStore store, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        if (after < 0) errors.Add($"after must be the number of a line, not {after}");
        if (tail is not null && limit is not null) errors.Add("limit and tail exclude each other");
        var lines = tail is null
            ? InRange("limit", limit, DefaultLines, JobStore.MostLogLines, errors)
            : InRange("tail", tail, DefaultLines, JobStore.MostLogLines, errors);
        var query = new JobLogQuery(after ?? 0, lines, LeastOf(level, errors), TraceOf(trace, errors), Last: tail is not null);
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (await store.GetAsync(id, cancellationToken) is null) return NoSuchJob(id);
        return Results.Ok(new Page<JobLogEntry>(await store.ReadLogAsync(id, query, cancellationToken)));
    }

    /// <summary>SSE: one event per line, numbered; <c>Last-Event-ID</c> goes on behind that one.</summary>
    private static async Task<IResult> FollowLogAsync(string id, string? level, string? trace, HttpRequest request, JobStore store, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        var (after, least, only) = (LastSeen(request, errors), LeastOf(level, errors), TraceOf(trace, errors));
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (await store.GetAsync(id, cancellationToken) is null) return NoSuchJob(id);
        return TypedResults.ServerSentEvents(Items("log", store.FollowLogAsync(id, after, least, only, cancellationToken), line => line.Sequence));
    }

    /// <summary>SSE: one event per change, numbered; <c>Last-Event-ID</c> goes on behind that one.</summary>
    private static async Task<IResult> EventsAsync(string id, HttpRequest request, JobStore store, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        var after = LastSeen(request, errors);
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (await store.GetAsync(id, cancellationToken) is null) return NoSuchJob(id);
        return TypedResults.ServerSentEvents(Items("job", store.EventsAsync(id, after, cancellationToken), next => next.Sequence));
    }

    private static async IAsyncEnumerable<SseItem<T>> Items<T>(string type, IAsyncEnumerable<T> items, Func<T, long> sequence)
    {
        await foreach (var next in items)
            yield return new SseItem<T>(next, type) { EventId = sequence(next).ToString(CultureInfo.InvariantCulture) };
    }

    private static long LastSeen(HttpRequest request, List<string> errors)
    {
        var last = request.Headers["Last-Event-ID"].ToString();
        var after = 0L;
        if (last.Length > 0 && !long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out after))
            errors.Add($"Last-Event-ID must be the number of an event, not '{last}'");
        return after;
    }

    private static LogLevel LeastOf(string? level, List<string> errors) =>
        level is null ? LogLevel.Trace : (LogLevel)Choice<JobLogLevel>("level", level, errors);

    private static string? TraceOf(string? trace, List<string> errors)
    {
        if (trace is not null && !(trace.Length == TraceIdLength && trace.All(char.IsAsciiHexDigitLower)))
            errors.Add($"trace must be the id of a trace, {TraceIdLength} lower-case hex digits, not '{trace}'");
        return trace;
    }

    private static T Choice<T>(string name, string text, List<string> errors)
        where T : struct, Enum
    {
        if (Enum.GetValues<T>().Where(value => Name(value) == text).ToList() is [var chosen]) return chosen;
        errors.Add($"{name} must be {string.Join(" or ", Enum.GetValues<T>().Select(Name))}, not '{text}'");
        return default;

        static string Name(T value) => $"{value}".ToLowerInvariant();
    }

    private static int InRange(string name, int? value, int byDefault, int most, List<string> errors)
    {
        if (value is < 1 || value > most) errors.Add($"{name} must be from 1 to {most}, not {value}");
        return value ?? byDefault;
    }

    public static IResult NoSuchJob(string id) => Problems.NotFound($"no job {id}; GET /api/v1/jobs lists them");
}
