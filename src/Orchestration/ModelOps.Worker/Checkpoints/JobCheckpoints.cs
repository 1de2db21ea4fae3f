using System.Text.Json;
using System.Threading.Channels;
using ModelOps.Storage;
using ModelOps.Training;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Checkpoints;

/// <summary>
/// A job's checkpoints in the object store, under the job's id, so that any worker goes on with them. The trainer reads and writes them in a
/// folder, which is filled from the store before; what it saves goes there in the background while it trains on.
/// </summary>
/// <remarks>
/// An upload that is overtaken by newer checkpoints is left out. The store never has fewer than the newest that came there: what is outdated goes
/// after that.
/// </remarks>
internal sealed partial class JobCheckpoints : IAsyncDisposable
{
    private readonly IObjectStore store;
    private readonly string job;
    private readonly string folder;
    private readonly ActivityReports reports;
    private readonly Action<int> stored;
    private readonly ILogger logger;
    private readonly Channel<bool> wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Lock gate = new();
    private readonly Task storing;
    private SavedCheckpoint? newest;
    private SavedCheckpoint? best;
    private int count;

    /// <param name="folder">Of this alone.</param>
    /// <param name="reports">
    /// The steps before a checkpoint are not done again: what is told of them goes to the server before it is stored, or is stored beside it.
    /// </param>
    /// <param name="stored">Told of each that has come to the store, by its steps.</param>
    public JobCheckpoints(IObjectStore store, string job, string folder, ActivityReports reports, Action<int> stored, ILogger logger)
    {
        (this.store, this.job, this.folder) = (store, job, Directory.CreateDirectory(folder).FullName);
        (this.reports, this.stored, this.logger) = (reports, stored, logger);
        storing = StoreAsync();
    }

    public string Folder => folder;

    /// <summary>Fills the folder from the store, and takes up what an earlier try could not tell.</summary>
    /// <exception cref="IOException">The store does not answer.</exception>
    public async Task FetchAsync(CancellationToken cancellationToken)
    {
        if (await store.OpenReadAsync(CheckpointKeys.Untold(job), cancellationToken: cancellationToken) is { } untold)
            await using (untold) reports.TakeUp(await JsonSerializer.DeserializeAsync(untold, ActivityJson.Default.IReadOnlyListMetricPoint, cancellationToken) ?? []);
        await foreach (var (key, steps) in ListAsync(cancellationToken))
        {
            var path = Path.Combine(folder, CheckpointFiles.NameOf(steps));
            try
            {
                if (await store.OpenReadAsync(key, cancellationToken: cancellationToken) is not { } content) continue;
                await using (content)
                await using (var file = File.Create(path)) await content.CopyToAsync(file, cancellationToken);
            }
            catch (ObjectIntegrityException e)
            {
                Log.Refused(logger, steps, e.Message);
                File.Delete(path);
            }
        }
    }

    /// <summary>For the thread that trains: it does not wait.</summary>
    public void Saved(SavedCheckpoint checkpoint)
    {
        lock (gate)
        {
            newest = checkpoint;
            if (checkpoint.BestSteps == checkpoint.Steps) best = checkpoint;
        }
        wakes.Writer.TryWrite(true);
    }

    /// <summary>Forgets all of them, here and in the store.</summary>
    public async Task ClearAsync(CancellationToken cancellationToken)
    {
        await foreach (var (key, _) in ListAsync(cancellationToken)) await store.DeleteAsync(key, cancellationToken);
        foreach (var file in Directory.EnumerateFiles(folder)) File.Delete(file);
    }

    /// <summary>Waits until what was saved has come to the store, or could not.</summary>
    public async ValueTask DisposeAsync()
    {
        wakes.Writer.Complete();
        await storing;
    }

    private async Task StoreAsync()
    {
        await foreach (var _ in wakes.Reader.ReadAllAsync())
            while (Take() is { } next)
                try
                {
                    await StoreAsync(next);
                }
                catch (IOException e)
                {
                    Log.NotStored(logger, next.Steps, e.Message); // the next one is tried as well
                }
    }

    /// <summary>The newest first, then the best, if that is another.</summary>
    private SavedCheckpoint? Take()
    {
        lock (gate)
        {
            var next = newest ?? best;
            if (best == next) best = null;
            newest = null;
            return next;
        }
    }

    private async Task StoreAsync(SavedCheckpoint checkpoint)
    {
        using var span = Thinning.Keeps(count++) ? WorkerSpans.Source.StartActivity("checkpoint") : null;
        span?.SetTag(SpanAttributes.Step, checkpoint.Steps);
        try
        {
            await using var file = new FileStream(checkpoint.Path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0, FileOptions.Asynchronous);
            if (!await reports.TellAsync(CancellationToken.None)) await PutUntoldAsync();
            await store.PutAsync(CheckpointKeys.Of(job, checkpoint.Steps), file, PutMode.Replace);
        }
        catch (FileNotFoundException)
        {
            return; // overtaken by newer ones
        }
        var steps = await ListAsync(CancellationToken.None).Select(one => one.Steps).ToListAsync();
        foreach (var old in CheckpointFiles.Outdated(steps, checkpoint.BestSteps)) await store.DeleteAsync(CheckpointKeys.Of(job, old));
        stored(checkpoint.Steps);
    }

    private async Task PutUntoldAsync()
    {
        using var content = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(reports.Untold, ActivityJson.Default.IReadOnlyListMetricPoint));
        await store.PutAsync(CheckpointKeys.Untold(job), content, PutMode.Replace);
    }

    private IAsyncEnumerable<(string Key, int Steps)> ListAsync(CancellationToken cancellationToken) =>
        from one in store.ListAsync(CheckpointKeys.Prefix(job), cancellationToken: cancellationToken)
        where CheckpointKeys.StepsOf(one.Key) is not null
        select (one.Key, CheckpointKeys.StepsOf(one.Key)!.Value);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "the checkpoint after step {Steps} could not be stored: {Reason}")]
        public static partial void NotStored(ILogger logger, int steps, string reason);

        [LoggerMessage(2, LogLevel.Warning, "the checkpoint after step {Steps} is passed over: {Reason}")]
        public static partial void Refused(ILogger logger, int steps, string reason);
    }
}
