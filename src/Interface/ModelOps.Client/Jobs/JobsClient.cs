using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;

namespace ModelOps.Client;

/// <summary>Long work: started, watched, canceled.</summary>
public sealed class JobsClient
{
    private readonly ApiConnection connection;

    internal JobsClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Starts supervised fine-tuning.</summary>
    public Task<Job> StartTrainingAsync(CreateTraining request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/trainings", request, WireJson.Default.CreateTraining, WireJson.Default.Job, cancellationToken);

    /// <summary>Starts the merge, conversion and quantization of a model or an adapter.</summary>
    public Task<Job> StartQuantizationAsync(CreateQuantization request, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            "api/v1/quantizations", request, WireJson.Default.CreateQuantization, WireJson.Default.Job, cancellationToken);

    /// <summary>All jobs, newest first.</summary>
    public async Task<IReadOnlyList<Job>> ListAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/jobs", WireJson.Default.PageJob, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    public Task<Job> GetAsync(string id, CancellationToken cancellationToken = default) =>
        connection.GetAsync(PathOf(id), WireJson.Default.Job, cancellationToken);

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
    public async IAsyncEnumerable<JobEvent> WatchAsync(
        string id, long after = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var last = after;
        var barren = 0; // connections in a row that brought no event
        var ended = false;
        while (true)
        {
            var before = last;
            Exception? broken = null;
            var events = ReadEventsAsync(id, last, cancellationToken).GetAsyncEnumerator(cancellationToken);
            await using (events.ConfigureAwait(false))
            {
                while (true)
                {
                    try
                    {
                        if (!await events.MoveNextAsync().ConfigureAwait(false))
                        {
                            if (ended)
                            {
                                yield break;
                            }
                            break;
                        }
                    }
                    catch (Exception exception) when (exception is IOException or HttpRequestException)
                    {
                        broken = exception;
                        break;
                    }
                    if (events.Current.Sequence <= last)
                    {
                        continue;
                    }
                    last = events.Current.Sequence;
                    yield return events.Current;
                    ended = events.Current.State.IsFinal; // unless the job was retried: then more events stand behind it
                }
            }
            barren = last == before ? barren + 1 : 1;
            if (barren == connection.Options.Attempts)
            {
                throw connection.Unreachable(broken ?? new IOException($"the event stream of job {id} ended {barren} times before the job did."));
            }
            await Task.Delay(connection.Options.DelayAfter(barren), connection.Options.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<JobEvent> ReadEventsAsync(string id, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await connection.SendAsync(() => EventsRequest(id, after), cancellationToken).ConfigureAwait(false);
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            var items = SseParser.Create(body, static (_, data) => WireResponse.Parse(data, WireJson.Default.JobEvent));
            await foreach (var item in items.EnumerateAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return item.Data;
            }
        }
    }

    private static HttpRequestMessage EventsRequest(string id, long after)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, PathOf(id) + "/events");
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (after > 0)
        {
            request.Headers.Add("Last-Event-ID", after.ToString());
        }
        return request;
    }

    private static string PathOf(string id) => $"api/v1/jobs/{ApiPath.Segment(id)}";
}
