using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Client;

/// <summary>What is empty or null is not asked for.</summary>
public sealed record JobFilter
{
    /// <summary>Any of these.</summary>
    public IReadOnlyList<JobState> States { get; init; } = [];
    /// <summary><c>ingestion</c>, <c>sft</c>, <c>pretraining</c>, <c>training_plan</c>, <c>quantization</c> or <c>evaluation</c>.</summary>
    public string? Kind { get; init; }
}

/// <summary>Long work: started, watched, canceled.</summary>
public sealed class JobsClient
{
    private const int PageSize = 200;
    private const int LogPageSize = 1000;
    private readonly ApiConnection connection;

    internal JobsClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Starts fine-tuning, or pretraining where that is the method.</summary>
    public Task<Job> StartTrainingAsync(CreateTraining request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/trainings", request, WireJson.Default.CreateTraining, WireJson.Default.Job, cancellationToken);

    /// <summary>Starts a job whose result is what the same training would do and take; nothing is trained.</summary>
    public Task<Job> PlanTrainingAsync(CreateTraining request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/trainings/plan", request, WireJson.Default.CreateTraining, WireJson.Default.Job, cancellationToken);

    /// <summary>Starts the merge, conversion and quantization of a model or an adapter.</summary>
    public Task<Job> StartQuantizationAsync(CreateQuantization request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/quantizations", request, WireJson.Default.CreateQuantization, WireJson.Default.Job, cancellationToken);

    /// <summary>Starts measuring a model or an adapter on a dataset.</summary>
    public Task<Job> StartEvaluationAsync(CreateEvaluation request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/evaluations", request, WireJson.Default.CreateEvaluation, WireJson.Default.Job, cancellationToken);

    /// <summary>Newest first; pages are fetched as they are needed.</summary>
    /// <param name="filter">null: all jobs.</param>
    public async IAsyncEnumerable<Job> ListAsync(JobFilter? filter = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        string? before = null;
        while (true)
        {
            var page = await connection.GetAsync(ListPath(filter ?? new(), before), WireJson.Default.PageJob, cancellationToken).ConfigureAwait(false);
            foreach (var job in page.Items)
            {
                yield return job;
            }
            if (page.Items.Count < PageSize)
            {
                yield break;
            }
            before = page.Items[^1].Id;
        }
    }

    public Task<Job> GetAsync(string id, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(id), WireJson.Default.Job, cancellationToken);

    /// <summary>The spans of a job's trace, as far as they are known yet.</summary>
    public Task<JobTrace> GetTraceAsync(string id, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(id) + "/trace", WireJson.Default.JobTrace, cancellationToken);

    /// <summary>The checkpoints that a job goes on from, by step; none once it has succeeded.</summary>
    public async Task<IReadOnlyList<JobCheckpoint>> ListCheckpointsAsync(string id, CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync(PathOf(id) + "/checkpoints", WireJson.Default.PageJobCheckpoint, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    /// <summary>The course of a job's metrics.</summary>
    /// <param name="names">None: all.</param>
    /// <param name="after">Steps up to and with this one are left out.</param>
    /// <param name="points">Points of a series at most, chosen so that its shape stays; null: the first 10,000 as they are.</param>
    public async Task<IReadOnlyList<MetricSeries>> GetMetricsAsync(
        string id, IEnumerable<string> names, long after = -1, int? points = null, CancellationToken cancellationToken = default)
    {
        var query = string.Concat(names.Select(name => $"&name={Uri.EscapeDataString(name)}")) + (points is null ? "" : $"&points={points}");
        var page = await connection.GetAsync($"{PathOf(id)}/metrics?after={after}{query}", WireJson.Default.PageMetricSeries, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    /// <summary>Asks the job to stop. It may still be running in the answer: watch it to its end.</summary>
    /// <exception cref="ModelOpsException">A conflict when the job has already ended.</exception>
    public Task<Job> CancelAsync(string id, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(id) + "/cancel", WireJson.Default.Job, cancellationToken);

    /// <summary>Asks the job to stop working until it is resumed. It may still be running in the answer.</summary>
    public Task<Job> PauseAsync(string id, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(id) + "/pause", WireJson.Default.Job, cancellationToken);

    /// <summary>Lets a paused job go on.</summary>
    public Task<Job> ResumeAsync(string id, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(id) + "/resume", WireJson.Default.Job, cancellationToken);

    /// <summary>Runs a failed or canceled job again, under the same id.</summary>
    /// <exception cref="ModelOpsException">A conflict when the job did not fail and was not canceled.</exception>
    public Task<Job> RetryAsync(string id, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(id) + "/retry", WireJson.Default.Job, cancellationToken);

    /// <summary>
    /// The job's events in order, each once, up to and including the one that ends it. A broken stream is taken up again where it broke.
    /// </summary>
    /// <param name="after">Sequence of the last event already seen; 0 for all.</param>
    /// <exception cref="ServerUnreachableException">The stream broke and could not be taken up again within the attempts.</exception>
    public IAsyncEnumerable<JobEvent> WatchAsync(string id, long after = 0, CancellationToken cancellationToken = default) => ResumeAsync(
        PathOf(id) + "/events", WireJson.Default.JobEvent, next => next.Sequence, after,
        // A job that was retried has more events behind the final one.
        (last, _) => ValueTask.FromResult(last?.State.IsFinal == true), cancellationToken);

    /// <summary>What workers logged for the job, oldest first; pages are fetched as they are needed.</summary>
    /// <param name="level">The least that is of interest.</param>
    /// <param name="after">Sequence of the last line already seen; 0 for all.</param>
    /// <param name="trace">Only lines of the trace with that id; null for all.</param>
    public async IAsyncEnumerable<JobLogEntry> LogAsync(
        string id, JobLogLevel level = JobLogLevel.Trace, long after = 0, string? trace = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var page = await connection.GetAsync(
                $"{LogPath(id, level, trace)}&limit={LogPageSize}&after={after}", WireJson.Default.PageJobLogEntry, cancellationToken).ConfigureAwait(false);
            foreach (var line in page.Items)
            {
                yield return line;
            }
            if (page.Items.Count < LogPageSize)
            {
                yield break;
            }
            after = page.Items[^1].Sequence;
        }
    }

    /// <summary>The last lines that workers logged for the job, oldest first.</summary>
    /// <param name="count">So many at most, from 1 to 10,000.</param>
    /// <param name="level">The least that is of interest.</param>
    /// <param name="trace">Only lines of the trace with that id; null for all.</param>
    public async Task<IReadOnlyList<JobLogEntry>> LogTailAsync(
        string id, int count, JobLogLevel level = JobLogLevel.Trace, string? trace = null, CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync($"{LogPath(id, level, trace)}&tail={count}", WireJson.Default.PageJobLogEntry, cancellationToken)
            .ConfigureAwait(false);
        return page.Items;
    }

    /// <summary>
    /// The job's lines in order, each once, up to its end, as workers log them. A broken stream is taken up again where it broke.
    /// </summary>
    /// <inheritdoc cref="LogAsync"/>
    /// <exception cref="ServerUnreachableException">The stream broke and could not be taken up again within the attempts.</exception>
    public async IAsyncEnumerable<JobLogEntry> FollowLogAsync(
        string id, JobLogLevel level = JobLogLevel.Trace, long after = 0, string? trace = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var lines = ResumeAsync(
            LogPath(id, level, trace, "/stream"), WireJson.Default.JobLogEntry, line => line.Sequence, after,
            async (_, token) => (await GetAsync(id, token).ConfigureAwait(false)).State.IsFinal, cancellationToken);
        await foreach (var line in lines.ConfigureAwait(false))
        {
            yield return line;
            after = line.Sequence;
        }
        // The job may have ended between the end of the stream and the question.
        await foreach (var line in LogAsync(id, level, after, trace, cancellationToken).ConfigureAwait(false))
        {
            yield return line;
        }
    }

    /// <summary>The items of a stream of server-sent events, each once; one that breaks or ends too early is taken up again behind the last.</summary>
    /// <param name="isOver">Whether the stream that ended had everything; gets the last item.</param>
    private async IAsyncEnumerable<T> ResumeAsync<T>(
        string path, JsonTypeInfo<T> type, Func<T, long> sequence, long after, Func<T?, CancellationToken, ValueTask<bool>> isOver,
        [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        T? last = null;
        var seen = after;
        var barren = 0; // connections in a row that brought nothing
        while (true)
        {
            var before = seen;
            Exception? broken = null;
            var items = ReadAsync(path, type, seen, cancellationToken).GetAsyncEnumerator(cancellationToken);
            await using (items.ConfigureAwait(false))
            {
                while (true)
                {
                    try
                    {
                        if (!await items.MoveNextAsync().ConfigureAwait(false))
                        {
                            break;
                        }
                    }
                    catch (Exception exception) when (exception is IOException or HttpRequestException)
                    {
                        broken = exception;
                        break;
                    }
                    if (sequence(items.Current) <= seen)
                    {
                        continue;
                    }
                    last = items.Current;
                    seen = sequence(last);
                    yield return last;
                }
            }
            if (broken is null && await isOver(last, cancellationToken).ConfigureAwait(false))
            {
                yield break;
            }
            barren = seen == before ? barren + 1 : 1;
            if (barren == connection.Options.Attempts)
            {
                throw connection.Unreachable(broken ?? new IOException($"the stream {path} ended {barren} times before the job did."));
            }
            await Task.Delay(connection.Options.DelayAfter(barren), connection.Options.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<T> ReadAsync<T>(
        string path, JsonTypeInfo<T> type, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await connection.SendAsync(() => StreamRequest(path, after), cancellationToken).ConfigureAwait(false);
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            var items = SseParser.Create(body, (_, data) => WireResponse.Parse(data, type));
            await foreach (var item in items.EnumerateAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return item.Data;
            }
        }
    }

    private static HttpRequestMessage StreamRequest(string path, long after)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (after > 0)
        {
            request.Headers.Add("Last-Event-ID", after.ToString());
        }
        return request;
    }

    private static string ListPath(JobFilter filter, string? before)
    {
        var query = new List<string> { $"limit={PageSize}" };
        query.AddRange(filter.States.Select(state => $"state={NameOf(state)}"));
        if (filter.Kind is { } kind)
        {
            query.Add($"kind={Uri.EscapeDataString(kind)}");
        }
        if (before is not null)
        {
            query.Add($"before={Uri.EscapeDataString(before)}");
        }
        return $"api/v1/jobs?{string.Join('&', query)}";
    }

    private static string LogPath(string id, JobLogLevel level, string? trace, string below = "") =>
        $"{PathOf(id)}/logs{below}?level={NameOf(level)}{(trace is null ? "" : $"&trace={Uri.EscapeDataString(trace)}")}";

    private static string NameOf<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static string PathOf(string id) => $"api/v1/jobs/{ApiPath.Segment(id)}";
}
