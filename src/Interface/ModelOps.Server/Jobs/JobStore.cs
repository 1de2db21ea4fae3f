using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Jobs;

/// <summary>Jobs and their events in the metadata database; the one place that writes them.</summary>
public sealed class JobStore(IDbContextFactory<MetadataContext> contexts, JobNews news, TimeProvider time)
{
    public async Task<Job> CreateAsync(string kind, JsonElement input, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var row = new JobRow
        {
            Id = $"job-{Guid.CreateVersion7(time.GetUtcNow()):N}",
            Kind = kind,
            State = Text(JobState.Queued),
            Input = input.GetRawText(),
            CreatedAt = time.GetUtcNow(),
        };
        context.Jobs.Add(row);
        context.JobEvents.Add(new JobEventRow { JobId = row.Id, Sequence = 1, At = row.CreatedAt, State = row.State });
        await context.SaveChangesAsync(cancellationToken);
        return ToWire(row);
    }

    public async Task<Job?> GetAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, cancellationToken) is { } row ? ToWire(row) : null;
    }

    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<Job>> ListAsync(int limit, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.Jobs.AsNoTracking().OrderByDescending(job => job.Id).Take(limit).ToListAsync(cancellationToken);
        return [.. rows.Select(ToWire)];
    }

    /// <summary>Jobs that a stopped server left behind, oldest first: they are run again from the start.</summary>
    public async Task<IReadOnlyList<Job>> UnfinishedAsync(CancellationToken cancellationToken)
    {
        string[] open = [Text(JobState.Queued), Text(JobState.Running)];
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.Jobs.AsNoTracking().Where(job => open.Contains(job.State)).OrderBy(job => job.Id).ToListAsync(cancellationToken);
        return [.. rows.Select(ToWire)];
    }

    public Task StartAsync(string id, CancellationToken cancellationToken) =>
        ChangeAsync(id, message: null, row => (row.State, row.StartedAt) = (Text(JobState.Running), time.GetUtcNow()), cancellationToken);

    public Task ReportAsync(string id, JobProgress progress, CancellationToken cancellationToken) =>
        ChangeAsync(id, message: null, row => row.Progress = JsonSerializer.Serialize(progress, WireJson.Default.JobProgress), cancellationToken);

    public Task SucceedAsync(string id, JsonElement result, CancellationToken cancellationToken) =>
        FinishAsync(id, JobState.Succeeded, message: null, row => (row.Result, row.Artifact) = (result.GetRawText(), ArtifactOf(result)), cancellationToken);

    public Task FailAsync(string id, JobError error, CancellationToken cancellationToken) =>
        FinishAsync(id, JobState.Failed, error.Message, row => (row.ErrorType, row.ErrorMessage) = (error.Type, error.Message), cancellationToken);

    public Task CancelAsync(string id, CancellationToken cancellationToken) =>
        FinishAsync(id, JobState.Canceled, message: null, _ => { }, cancellationToken);

    /// <summary>Remembers that a running job shall end: should the server die first, its next start ends it.</summary>
    public async Task RequestCancelAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await context.Jobs.Where(job => job.Id == id)
            .ExecuteUpdateAsync(job => job.SetProperty(row => row.CancelRequested, true), cancellationToken);
    }

    /// <summary>Whether <see cref="RequestCancelAsync"/> was called for it.</summary>
    public async Task<bool> IsCancelRequestedAsync(string id, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.Jobs.AnyAsync(job => job.Id == id && job.CancelRequested, cancellationToken);
    }

    /// <summary>Events after <paramref name="after"/>, then live ones; ends behind the one that ends the job.</summary>
    public async IAsyncEnumerable<JobEvent> EventsAsync(string id, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var next = news.Next(id);
            foreach (var one in await ReadEventsAsync(id, after, cancellationToken))
            {
                yield return one;
                after = one.Sequence;
                if (IsFinal(one.State)) yield break;
            }
            await news.WaitAsync(next, cancellationToken);
        }
    }

    public static bool IsFinal(JobState state) => state is JobState.Succeeded or JobState.Failed or JobState.Canceled;

    private Task FinishAsync(string id, JobState state, string? message, Action<JobRow> change, CancellationToken cancellationToken) =>
        ChangeAsync(
            id,
            message,
            row =>
            {
                (row.State, row.FinishedAt) = (Text(state), time.GetUtcNow());
                change(row);
            },
            cancellationToken);

    private async Task ChangeAsync(string id, string? message, Action<JobRow> change, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job {id}", cancellationToken); // two changes at once: the second sees the first one's state and event number
        var row = await context.Jobs.SingleAsync(job => job.Id == id, cancellationToken);
        if (IsFinal(State(row.State))) return;
        change(row);
        context.JobEvents.Add(new JobEventRow
        {
            JobId = id,
            Sequence = 1 + await context.JobEvents.Where(e => e.JobId == id).MaxAsync(e => e.Sequence, cancellationToken),
            At = time.GetUtcNow(),
            State = row.State,
            Progress = row.Progress,
            Message = message,
        });
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        news.Publish(id);
    }

    private async Task<IReadOnlyList<JobEvent>> ReadEventsAsync(string id, long after, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.JobEvents.AsNoTracking()
            .Where(e => e.JobId == id && e.Sequence > after)
            .OrderBy(e => e.Sequence)
            .ToListAsync(cancellationToken);
        return
        [
            .. rows.Select(row => new JobEvent
            {
                Sequence = row.Sequence,
                At = row.At,
                State = State(row.State),
                Progress = Progress(row.Progress),
                Message = row.Message,
            }),
        ];
    }

    private static Job ToWire(JobRow row) => new()
    {
        Id = row.Id,
        Kind = row.Kind,
        State = State(row.State),
        CreatedAt = row.CreatedAt,
        StartedAt = row.StartedAt,
        FinishedAt = row.FinishedAt,
        Input = JsonElement.Parse(row.Input),
        Result = row.Result is null ? null : JsonElement.Parse(row.Result),
        Progress = Progress(row.Progress),
        Error = row.ErrorType is null ? null : new JobError(row.ErrorType, row.ErrorMessage ?? ""),
    };

    private static JobProgress? Progress(string? json) => json is null ? null : JsonSerializer.Deserialize(json, WireJson.Default.JobProgress);

    /// <summary>Every kind of job names what it registered in the same place.</summary>
    private static string? ArtifactOf(JsonElement result) => result.TryGetProperty("artifact", out var artifact) ? artifact.GetString() : null;

    private static string Text(JobState state) => state.ToString().ToLowerInvariant();

    private static JobState State(string text) => Enum.Parse<JobState>(text, ignoreCase: true);
}
