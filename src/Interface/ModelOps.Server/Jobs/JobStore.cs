using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>An unfinished job, as its workflow needs it.</summary>
/// <param name="Wish">What its user wants of it.</param>
public sealed record OpenJob(string Id, string Kind, JobState State, JobWish Wish, JsonElement Input, JobRun Run, int Priority);

/// <param name="Engine">Where its workflow will be.</param>
/// <param name="OverQuota">Whether the quota of its user does not count.</param>
public sealed record NewJob(string Kind, JsonElement Input, JobPriority Priority, string CreatedBy, string Engine, bool OverQuota);

public abstract record JobCreation
{
    private JobCreation()
    {
    }

    public sealed record Created(Job Job) : JobCreation;

    /// <param name="Reason">Which quota, how much it allows, what to do.</param>
    public sealed record OverQuota(string Reason) : JobCreation;
}

public abstract record JobRetry
{
    private JobRetry()
    {
    }

    public sealed record Retried : JobRetry;

    /// <summary>It did not fail and was not canceled, or there is none of that id.</summary>
    public sealed record NotEnded : JobRetry;

    /// <inheritdoc cref="JobCreation.OverQuota"/>
    public sealed record OverQuota(string Reason) : JobRetry;
}

/// <param name="States">Any of them; empty: all.</param>
/// <param name="Kind">Null: all.</param>
/// <param name="Before">Id of the last job of the page before; null: from the newest on.</param>
/// <param name="Limit">Jobs at most.</param>
public sealed record JobQuery(IReadOnlyList<JobState> States, string? Kind, string? Before, int Limit)
{
    /// <summary>Null: everybody's.</summary>
    public string? CreatedBy { get; init; }
}

/// <param name="After">Sequence of the last line already seen; 0: none.</param>
/// <param name="Limit">Lines at most.</param>
/// <param name="Level">The least that is of interest.</param>
/// <param name="Trace">Only lines of that trace; null: all.</param>
/// <param name="Last">The last lines, and not the first.</param>
public sealed record JobLogQuery(long After, int Limit, LogLevel Level, string? Trace = null, bool Last = false);

public enum JobWish
{
    Run,
    Pause,
    Cancel,
}

/// <summary>Jobs and their events in the metadata database; the one place that writes them.</summary>
/// <param name="traces">Null: nobody traces them.</param>
/// <param name="meters">Null: nobody measures them.</param>
public sealed class JobStore(
    IDbContextFactory<MetadataContext> contexts, JobNews news, JobQuotas quotas, TimeProvider time, JobTraces? traces = null, JobMeters? meters = null)
{
    /// <summary>Lines that are kept of a job.</summary>
    public const int MostLogLines = 10_000;

    public async Task<JobCreation> CreateAsync(NewJob job, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        if (!job.OverQuota && await RefusalAsync(context, job.CreatedBy, job.Kind, cancellationToken) is { } refusal) return new JobCreation.OverQuota(refusal);
        var last = await context.Jobs.MaxAsync(other => other.Id, cancellationToken);
        var id = JobIds.After(last, time.GetUtcNow());
        using var trace = traces?.Begin(id, job.Kind, attempt: 1);
        var row = new JobRow
        {
            Id = id,
            Kind = job.Kind,
            State = Text(JobState.Queued),
            CreatedBy = job.CreatedBy,
            Priority = JobViews.KeyOf(job.Priority),
            Engine = job.Engine,
            TraceParent = trace is null ? Activity.Current?.Id : trace.Parent,
            Input = job.Input.GetRawText(),
            CreatedAt = time.GetUtcNow(),
        };
        context.Jobs.Add(row);
        context.JobEvents.Add(new JobEventRow { JobId = row.Id, Sequence = 1, At = row.CreatedAt, State = row.State });
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        trace?.Keep();
        return new JobCreation.Created(JobViews.ToWire(row));
    }

    public async Task<Job?> GetAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is { } row ? JobViews.ToWire(row) : null;
    }

    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<Job>> ListAsync(JobQuery query, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var jobs = context.Jobs.AsNoTracking();
        if (query.Kind is { } kind) jobs = jobs.Where(job => job.Kind == kind);
        if (query.CreatedBy is { } by) jobs = jobs.Where(job => job.CreatedBy == by);
        if (query.Before is { } before) jobs = jobs.Where(job => string.Compare(job.Id, before) < 0);
        if (query.States.Count > 0)
        {
            var states = query.States.Select(Text).ToList();
            jobs = jobs.Where(job => states.Contains(job.State));
        }
        var rows = await jobs.OrderByDescending(job => job.Id).Take(query.Limit).ToListAsync(cancellationToken);
        return [.. rows.Select(JobViews.ToWire)];
    }

    /// <summary>The job of a kind whose id ends so.</summary>
    public async Task<Job?> FindByEndAsync(string kind, string end, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AsNoTracking().FirstOrDefaultAsync(job => job.Kind == kind && job.Id.EndsWith(end), cancellationToken) is { } row ? JobViews.ToWire(row) : null;
    }

    /// <summary>Waits until the job's state is as wanted.</summary>
    public async Task UntilAsync(string id, Func<JobState, bool> wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            var more = news.Next(id);
            if (await GetAsync(id, cancellationToken) is not { } job || wanted(job.State)) return;
            await news.WaitAsync(more, cancellationToken);
        }
    }

    /// <summary>The unfinished jobs of an engine, oldest first.</summary>
    public async Task<IReadOnlyList<OpenJob>> OpenAsync(string engine, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.Jobs.AsNoTracking().Where(job => job.FinishedAt == null && job.Engine == engine).OrderBy(job => job.Id)
            .ToListAsync(cancellationToken);
        return
        [
            .. rows.Select(row => new OpenJob(
                row.Id, row.Kind, JobViews.State(row.State),
                row.CancelRequested ? JobWish.Cancel : row.PauseRequested ? JobWish.Pause : JobWish.Run,
                JsonElement.Parse(row.Input), new JobRun(row.Attempts, row.TraceParent), row.Priority)),
        ];
    }

    /// <summary>Writes down what the user wants of an unfinished job; a cancellation stands.</summary>
    /// <returns>False: it has ended, or there is none of that id.</returns>
    public async Task<bool> WishAsync(string id, JobWish wish, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.Where(job => job.Id == id && job.FinishedAt == null).ExecuteUpdateAsync(
            job => job.SetProperty(row => row.CancelRequested, row => row.CancelRequested || wish == JobWish.Cancel)
                .SetProperty(row => row.PauseRequested, wish == JobWish.Pause),
            cancellationToken) == 1;
    }

    /// <summary>The same job again, if it failed or was canceled.</summary>
    /// <param name="engine">Where its workflow will be.</param>
    /// <param name="overQuota">Whether the quota of its user does not count.</param>
    public async Task<JobRetry> RetryAsync(string id, string engine, bool overQuota, CancellationToken cancellationToken)
    {
        string? refusal = null;
        JobTraces.RunTrace? trace = null;
        var retried = await ChangeAsync(
            id,
            async (context, row) =>
            {
                if (JobViews.State(row.State) is not (JobState.Failed or JobState.Canceled)) return false;
                if (!overQuota && (refusal = await RefusalAsync(context, row.CreatedBy, row.Kind, cancellationToken)) is not null) return false;
                row.Attempts++;
                row.State = Text(JobState.Queued);
                row.Engine = engine;
                trace = traces?.Begin(id, row.Kind, row.Attempts);
                row.TraceParent = trace is null ? Activity.Current?.Id : trace.Parent;
                row.CancelRequested = row.PauseRequested = false;
                row.StartedAt = row.FinishedAt = null;
                row.Progress = row.Step = row.ErrorType = row.ErrorMessage = null;
                return true;
            },
            row => $"attempt {row.Attempts}",
            cancellationToken);
        using (trace)
            if (retried) trace?.Keep();
        return refusal is not null ? new JobRetry.OverQuota(refusal) : retried ? new JobRetry.Retried() : new JobRetry.NotEnded();
    }

    /// <summary>What the workflow tells.</summary>
    /// <param name="result">Of a success, as the wire has it.</param>
    /// <returns>False: it is known already, or a later run's word stands.</returns>
    public async Task<bool> ApplyAsync(string id, JobChange change, JsonElement? result, CancellationToken cancellationToken)
    {
        JobRow? ended = null;
        var applied = await ChangeAsync(
            id,
            async (context, row) =>
            {
                var before = JobViews.State(row.State);
                if (row.Attempts != change.Run.Attempt || before.IsFinal) return false;
                var after = JobViews.State(change.Phase);
                if (before == after) return false;
                row.State = Text(after);
                row.StartedAt ??= time.GetUtcNow();
                var level = change.Error is null ? LogLevel.Information : LogLevel.Error;
                var why = change.Error is { } error ? $": {error.Type}: {error.Message}" : "";
                await AddLinesAsync(context, row, step: null, attempt: null, [new(time.GetUtcNow(), $"{level}", $"the job is {row.State}{why}")], cancellationToken);
                if (!after.IsFinal) return true;
                row.FinishedAt = time.GetUtcNow();
                row.Step = null;
                row.Result = result?.GetRawText();
                row.Artifact = result is { } made ? ArtifactsOf(made) : null;
                (row.ErrorType, row.ErrorMessage) = (change.Error?.Type, change.Error?.Message);
                ended = row;
                return true;
            },
            row => row.ErrorMessage,
            cancellationToken);
        if (applied && change.Phase == JobPhase.Paused) meters?.Paused(id);
        if (!applied || ended is null) return applied;
        meters?.Ended(ended);
        if (traces is not null) await traces.EndAsync(ended, cancellationToken);
        return applied;
    }

    /// <summary>How far its worker is.</summary>
    /// <param name="message">For people; null: none.</param>
    public Task<bool> ReportAsync(string id, string? step, JobProgress? progress, string? message, CancellationToken cancellationToken) =>
        ChangeAsync(
            id,
            async (context, row) =>
            {
                if (row.FinishedAt is not null) return false;
                row.Step = step ?? row.Step;
                if (progress is not null)
                {
                    if (message is null) await ReplaceAsync(context, row, progress, cancellationToken);
                    row.Progress = JsonSerializer.Serialize(progress, WireJson.Default.JobProgress);
                }
                return true;
            },
            _ => message,
            cancellationToken);

    /// <summary>
    /// Of a stage's progress one event stays for each hundredth of its steps, so that a job of days has no million of them: the newest takes the place of
    /// the one before. Its number is a new one, for whoever follows.
    /// </summary>
    private static async Task ReplaceAsync(MetadataContext context, JobRow row, JobProgress progress, CancellationToken cancellationToken)
    {
        var last = await context.JobEvents.Where(e => e.JobId == row.Id).OrderByDescending(e => e.Sequence).FirstAsync(cancellationToken);
        if (last is { Message: null, Progress: { } told } && last.State == row.State && JsonSerializer.Deserialize(told, WireJson.Default.JobProgress) is { } before
            && before.Stage == progress.Stage && HundredthOf(before) == HundredthOf(progress))
            context.JobEvents.Remove(last);
    }

    private static long HundredthOf(JobProgress progress) => progress.Total is > 0 and var total ? 100 * progress.Step / total : 0;

    /// <summary>Of a job the last 10,000 lines are kept.</summary>
    /// <param name="step">The activity that a worker ran meanwhile; null: it is the server's own word.</param>
    /// <param name="attempt">Of the activity, from 1.</param>
    public async Task LogAsync(string id, string? step, int? attempt, IReadOnlyList<JobLogLine> lines, CancellationToken cancellationToken)
    {
        if (lines.Count == 0) return;
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job {id}", cancellationToken);
        if (await context.Jobs.AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is not { } row) return;
        var last = await AddLinesAsync(context, row, step, attempt, lines, cancellationToken);
        await context.SaveChangesAsync(cancellationToken);
        await context.JobLogs.Where(line => line.JobId == id && line.Sequence <= last - MostLogLines).ExecuteDeleteAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        news.Publish(id);
    }

    /// <summary>Lines in order: the first behind <see cref="JobLogQuery.After"/>, or the last where <see cref="JobLogQuery.Last"/> is asked for.</summary>
    public async Task<IReadOnlyList<JobLogEntry>> ReadLogAsync(string id, JobLogQuery query, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var levels = Enum.GetValues<LogLevel>().Where(level => level >= query.Level).Select(level => $"{level}").ToList();
        var lines = context.JobLogs.AsNoTracking().Where(line => line.JobId == id && line.Sequence > query.After && levels.Contains(line.Level));
        if (query.Trace is { } trace) lines = lines.Where(line => line.TraceId == trace);
        var rows = await (query.Last ? lines.OrderByDescending(line => line.Sequence) : lines.OrderBy(line => line.Sequence))
            .Take(query.Limit).ToListAsync(cancellationToken);
        if (query.Last) rows.Reverse();
        return [.. rows.Select(JobViews.ToWire)];
    }

    /// <summary>Events after <paramref name="after"/>, then live ones; ends behind the one that ends the job.</summary>
    public IAsyncEnumerable<JobEvent> EventsAsync(string id, long after, CancellationToken cancellationToken) =>
        FollowAsync(id, after, ReadEventsAsync, next => next.Sequence, cancellationToken);

    /// <summary>Newest first.</summary>
    /// <param name="before">Sequence of the last event of the page before; null: from the newest on.</param>
    public async Task<IReadOnlyList<JobEvent>> ReadEventsBeforeAsync(string id, long? before, int limit, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.JobEvents.AsNoTracking().Where(e => e.JobId == id && (before == null || e.Sequence < before))
            .OrderByDescending(e => e.Sequence).Take(limit).ToListAsync(cancellationToken);
        return [.. rows.Select(JobViews.ToWire)];
    }

    /// <summary>Lines after <paramref name="after"/> of that level or worse, of one trace or of all, then live ones; ends with the job.</summary>
    public IAsyncEnumerable<JobLogEntry> FollowLogAsync(string id, long after, LogLevel level, string? trace, CancellationToken cancellationToken) => FollowAsync(
        id,
        after,
        (job, behind, token) => ReadLogAsync(job, new JobLogQuery(behind, MostLogLines, level, trace), token),
        line => line.Sequence,
        cancellationToken);

    /// <summary>Within the job's lock. A line that does not name its span belongs to the run's.</summary>
    /// <returns>Sequence of the last line.</returns>
    private static async Task<long> AddLinesAsync(
        MetadataContext context, JobRow job, string? step, int? attempt, IReadOnlyList<JobLogLine> lines, CancellationToken cancellationToken)
    {
        ActivityContext? run = ActivityContext.TryParse(job.TraceParent, traceState: null, out var parsed) ? parsed : null;
        var last = await context.JobLogs.Where(line => line.JobId == job.Id).MaxAsync(line => (long?)line.Sequence, cancellationToken) ?? 0;
        foreach (var line in lines)
            context.JobLogs.Add(new JobLogRow
            {
                JobId = job.Id,
                Sequence = ++last,
                At = line.At,
                Level = $"{JobViews.LevelOf(line.Level)}",
                Step = step,
                Attempt = attempt,
                TraceId = line.TraceId ?? run?.TraceId.ToHexString(),
                SpanId = line.TraceId is null ? run?.SpanId.ToHexString() : line.SpanId,
                Text = line.Text,
            });
        return last;
    }

    /// <param name="change">False: nothing is to be written.</param>
    private async Task<bool> ChangeAsync(
        string id, Func<MetadataContext, JobRow, ValueTask<bool>> change, Func<JobRow, string?> message, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job {id}", cancellationToken); // two changes at once: the second sees the first one's state and event number
        if (await context.Jobs.SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is not { } row || !await change(context, row)) return false;
        context.JobEvents.Add(new JobEventRow
        {
            JobId = id,
            Sequence = 1 + await context.JobEvents.Where(e => e.JobId == id).MaxAsync(e => e.Sequence, cancellationToken),
            At = time.GetUtcNow(),
            State = row.State,
            Progress = row.Progress,
            Message = message(row),
        });
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        news.Publish(id);
        return true;
    }

    /// <summary>Whoever asks next waits for this transaction, and so counts the job that it makes.</summary>
    /// <returns>Why the user may not have one more job of the kind; null: it may.</returns>
    private async Task<string?> RefusalAsync(MetadataContext context, string user, string kind, CancellationToken cancellationToken)
    {
        if (!quotas.HasFor(kind)) return null;
        await context.LockAsync($"jobs of {user}", cancellationToken);
        var unfinished = await context.Jobs.Where(job => job.CreatedBy == user && job.FinishedAt == null)
            .GroupBy(job => job.Kind).Select(group => new { Kind = group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Kind, group => group.Count, StringComparer.Ordinal, cancellationToken);
        return quotas.Refusal(user, kind, unfinished);
    }

    private async IAsyncEnumerable<T> FollowAsync<T>(
        string id, long after, Func<string, long, CancellationToken, Task<IReadOnlyList<T>>> read, Func<T, long> sequence,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var more = news.Next(id);
            var ended = await HasEndedAsync(id, cancellationToken); // before reading: of an ended job everything is there
            foreach (var next in await read(id, after, cancellationToken))
            {
                yield return next;
                after = sequence(next);
            }
            if (ended) yield break;
            await news.WaitAsync(more, cancellationToken);
        }
    }

    private async Task<bool> HasEndedAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AnyAsync(job => job.Id == id && job.FinishedAt != null, cancellationToken);
    }

    private async Task<IReadOnlyList<JobEvent>> ReadEventsAsync(string id, long after, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.JobEvents.AsNoTracking()
            .Where(e => e.JobId == id && e.Sequence > after)
            .OrderBy(e => e.Sequence)
            .ToListAsync(cancellationToken);
        return [.. rows.Select(JobViews.ToWire)];
    }

    /// <summary>Every kind of job names what it registered in the same place: one artifact, or several, with a space between them here.</summary>
    private static string? ArtifactsOf(JsonElement result) =>
        result.TryGetProperty("artifact", out var artifact) ? artifact.GetString()
        : result.TryGetProperty("artifacts", out var artifacts) ? string.Join(' ', artifacts.EnumerateArray().Select(made => made.GetProperty("artifact").GetString()))
        : null;

    private static string Text(JobState state) => JobViews.Text(state);
}
