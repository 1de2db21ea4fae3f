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

public enum JobWish
{
    Run,
    Pause,
    Cancel,
}

/// <summary>Jobs and their events in the metadata database; the one place that writes them.</summary>
public sealed class JobStore(IDbContextFactory<MetadataContext> contexts, JobNews news, TimeProvider time)
{
    private const int MostLogLines = 10_000;

    /// <param name="engine">Where its workflow will be.</param>
    public async Task<Job> CreateAsync(string kind, JsonElement input, string createdBy, string engine, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var row = new JobRow
        {
            Id = $"job-{Guid.CreateVersion7(time.GetUtcNow()):N}",
            Kind = kind,
            State = Text(JobState.Queued),
            CreatedBy = createdBy,
            Engine = engine,
            TraceParent = Activity.Current?.Id,
            Input = input.GetRawText(),
            CreatedAt = time.GetUtcNow(),
        };
        context.Jobs.Add(row);
        context.JobEvents.Add(new JobEventRow { JobId = row.Id, Sequence = 1, At = row.CreatedAt, State = row.State });
        await context.SaveChangesAsync(cancellationToken);
        return JobViews.ToWire(row);
    }

    public async Task<Job?> GetAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is { } row ? JobViews.ToWire(row) : null;
    }

    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<Job>> ListAsync(int limit, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.Jobs.AsNoTracking().OrderByDescending(job => job.Id).Take(limit).ToListAsync(cancellationToken);
        return [.. rows.Select(JobViews.ToWire)];
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
    /// <returns>False: it did not.</returns>
    public Task<bool> RetryAsync(string id, string engine, CancellationToken cancellationToken) =>
        ChangeAsync(
            id,
            row =>
            {
                if (JobViews.State(row.State) is not (JobState.Failed or JobState.Canceled)) return false;
                row.Attempts++;
                row.State = Text(JobState.Queued);
                row.Engine = engine;
                row.TraceParent = Activity.Current?.Id;
                row.CancelRequested = row.PauseRequested = false;
                row.StartedAt = row.FinishedAt = null;
                row.Progress = row.Step = row.ErrorType = row.ErrorMessage = null;
                return true;
            },
            row => $"attempt {row.Attempts}",
            cancellationToken);

    /// <summary>What the workflow tells.</summary>
    /// <param name="result">Of a success, as the wire has it.</param>
    /// <returns>False: it is known already, or a later run's word stands.</returns>
    public Task<bool> ApplyAsync(string id, JobChange change, JsonElement? result, CancellationToken cancellationToken) =>
        ChangeAsync(
            id,
            row =>
            {
                var before = JobViews.State(row.State);
                if (row.Attempts != change.Run.Attempt || before.IsFinal) return false;
                var after = JobViews.State(change.Phase);
                if (before == after) return false;
                row.State = Text(after);
                row.StartedAt ??= time.GetUtcNow();
                if (!after.IsFinal) return true;
                row.FinishedAt = time.GetUtcNow();
                row.Step = null;
                row.Result = result?.GetRawText();
                row.Artifact = result is { } made ? ArtifactOf(made) : null;
                (row.ErrorType, row.ErrorMessage) = (change.Error?.Type, change.Error?.Message);
                return true;
            },
            row => row.ErrorMessage,
            cancellationToken);

    /// <summary>How far its worker is.</summary>
    /// <param name="message">For people; null: none.</param>
    public Task<bool> ReportAsync(string id, string? step, JobProgress? progress, string? message, CancellationToken cancellationToken) =>
        ChangeAsync(
            id,
            row =>
            {
                if (row.FinishedAt is not null) return false;
                row.Step = step ?? row.Step;
                if (progress is not null) row.Progress = JsonSerializer.Serialize(progress, WireJson.Default.JobProgress);
                return true;
            },
            _ => message,
            cancellationToken);

    /// <summary>Of a job the last 10,000 lines are kept.</summary>
    public async Task LogAsync(string id, IReadOnlyList<JobLogLine> lines, CancellationToken cancellationToken)
    {
        if (lines.Count == 0) return;
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job {id}", cancellationToken);
        if (!await context.Jobs.AnyAsync(job => job.Id == id, cancellationToken)) return;
        var last = await context.JobLogs.Where(line => line.JobId == id).MaxAsync(line => (long?)line.Sequence, cancellationToken) ?? 0;
        foreach (var line in lines)
            context.JobLogs.Add(new JobLogRow { JobId = id, Sequence = ++last, At = line.At, Level = line.Level, Text = line.Text });
        await context.SaveChangesAsync(cancellationToken);
        await context.JobLogs.Where(line => line.JobId == id && line.Sequence <= last - MostLogLines).ExecuteDeleteAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Events after <paramref name="after"/>, then live ones; ends behind the one that ends the job.</summary>
    public async IAsyncEnumerable<JobEvent> EventsAsync(string id, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var more = news.Next(id);
            var ended = await HasEndedAsync(id, cancellationToken); // before the events: of an ended job they are all there
            foreach (var next in await ReadEventsAsync(id, after, cancellationToken))
            {
                yield return next;
                after = next.Sequence;
            }
            if (ended) yield break;
            await news.WaitAsync(more, cancellationToken);
        }
    }

    /// <param name="change">False: nothing is to be written.</param>
    private async Task<bool> ChangeAsync(string id, Func<JobRow, bool> change, Func<JobRow, string?> message, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job {id}", cancellationToken); // two changes at once: the second sees the first one's state and event number
        if (await context.Jobs.SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is not { } row || !change(row)) return false;
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

    /// <summary>Every kind of job names what it registered in the same place.</summary>
    private static string? ArtifactOf(JsonElement result) => result.TryGetProperty("artifact", out var artifact) ? artifact.GetString() : null;

    private static string Text(JobState state) => JobViews.Text(state);
}
