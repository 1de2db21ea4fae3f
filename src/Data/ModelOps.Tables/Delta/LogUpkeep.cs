using System.Globalization;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>What a commit leaves to do: a checkpoint now and then, and the end of commits that no one can ask for any more.</summary>
internal sealed class LogUpkeep(IObjectStore store, DeltaLog log, TimeProvider clock)
{
    /// <returns>What could not be done; null: all was.</returns>
    public async Task<string?> RunAsync(long version, TableProperties properties, CancellationToken cancellationToken)
    {
        if (version == 0 || version % properties.CheckpointInterval != 0) return null;
        try
        {
            var replay = await log.ReplayAsync(version, cancellationToken).ConfigureAwait(false);
            await CheckpointAsync(replay.ToSnapshot(), properties, cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (Exception e) when (e is IOException or DeltaException or OperationCanceledException)
        {
            // The version is there: to say that its commit failed or was cancelled would be wrong.
            return $"version {version} is committed, but not its checkpoint: {e.Message}";
        }
    }

    public async Task CheckpointAsync(Snapshot snapshot, TableProperties properties, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        await CheckpointWriter.WriteAsync(store, log, snapshot, now - properties.FileRetention, cancellationToken).ConfigureAwait(false);
        if (properties.CleansUpLog) await CleanUpAsync(now - properties.LogRetention, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>PROTOCOL.md, "Metadata Cleanup".</summary>
    private async Task CleanUpAsync(DateTimeOffset retained, CancellationToken cancellationToken)
    {
        // 1. The newest commit of before midnight of the day up to which versions are kept.
        var files = new List<(string Name, long Version, DateTimeOffset At)>();
        await foreach (var item in store.ListAsync(log.KeyOf(""), cancellationToken: cancellationToken).ConfigureAwait(false))
            if (item.Key[log.KeyOf("").Length..] is var name && VersionOf(name) is { } version) files.Add((name, version, item.ModifiedAt));
        var cutOff = new DateTimeOffset(retained.UtcDateTime.Date, TimeSpan.Zero);
        var last = files.Where(file => file.Name == CommitFile.Name(file.Version) && file.At <= cutOff).Max(file => (long?)file.Version);

        // 2. The newest checkpoint from which that commit can be read: nothing from there on goes.
        var segment = last is null ? null : LogSegment.Select("the log", files.Where(file => file.Version <= last).Select(file => file.Name), last);
        if (segment is not { CheckpointVersion: >= 0 }) return;

        // 3. Oldest first, so that whenever this ends the log has no gap.
        foreach (var file in files.Where(file => file.Version < segment.CheckpointVersion).OrderBy(file => file.Version))
            await store.DeleteAsync(log.KeyOf(file.Name), cancellationToken).ConfigureAwait(false);
    }

    /// <returns>null: neither a commit, a checkpoint, a checksum nor a compaction.</returns>
    private static long? VersionOf(string name) =>
        name.Length > 20 && name[20] == '.' && !name.Contains('/', StringComparison.Ordinal)
            && long.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : null;
}
