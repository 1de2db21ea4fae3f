using System.Text.Json;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>The log of one table, read from a store.</summary>
internal sealed class DeltaLog(IObjectStore store, TablePaths paths)
{
    private const int ConcurrentReads = 32;

    private string Folder => $"{paths.Table}/{CommitFile.LogFolder}/";

    public string KeyOf(string name) => Folder + name;

    /// <param name="version">null: the latest.</param>
    /// <exception cref="DeltaException">There is no such version, or the log is broken.</exception>
    public async Task<LogReplay> ReplayAsync(long? version, CancellationToken cancellationToken)
    {
        var (segment, times) = await SelectAsync(version, cancellationToken).ConfigureAwait(false);
        var replay = new LogReplay(paths);
        foreach (var part in segment.Checkpoint)
        {
            var lines = CheckpointFile.ReadAsync(store, KeyOf(part), cancellationToken);
            await foreach (var line in lines.ConfigureAwait(false)) replay.ApplyCheckpoint(segment.CheckpointVersion, line);
        }
        await ApplyAsync(replay, segment.Commits, times, cancellationToken).ConfigureAwait(false);
        // A checkpoint leaves out when its commit was made.
        if (segment.Commits.Count == 0 && replay.HasInCommitTimestamps)
            replay.ApplyTime(times.Of(segment.Version), await ReadCommitAsync(segment.Version, cancellationToken).ConfigureAwait(false) ?? []);
        else if (segment.Commits.Count == 0) replay.ApplyTime(times.Of(segment.Version), []);
        return replay;
    }

    /// <summary>The latest version, from a known one and what was committed since.</summary>
    public async Task<LogReplay> ReplayAsync(Snapshot known, CancellationToken cancellationToken)
    {
        var times = await ListAsync(CommitFile.Name(known.Version), cancellationToken).ConfigureAwait(false);
        var replay = LogReplay.From(known, paths);
        // Where commits were cleaned away behind a checkpoint, the way from the known version on is gone.
        if (times.Commits.Where((version, i) => version != known.Version + 1 + i).Any()) return await ReplayAsync(version: null, cancellationToken).ConfigureAwait(false);
        await ApplyAsync(replay, [.. times.Commits], times, cancellationToken).ConfigureAwait(false);
        return replay;
    }

    /// <returns>null: there is no such commit.</returns>
    public async Task<IReadOnlyList<LogLine>?> ReadCommitAsync(long version, CancellationToken cancellationToken)
    {
        var key = KeyOf(CommitFile.Name(version));
        return await ReadAsync(key, cancellationToken).ConfigureAwait(false) is { } bytes ? CommitFile.Parse(key, bytes) : null;
    }

    /// <summary>When each commit that is still there was made.</summary>
    public Task<LogTimes> ListAsync(CancellationToken cancellationToken) => ListAsync(startAfter: null, cancellationToken);

    /// <summary>
    /// Beginning at the last checkpoint that the table names, so that a long log is not listed whole; the listing decides whether that is so, and
    /// where it is not, the whole log is looked at.
    /// </summary>
    private async Task<(LogSegment Segment, LogTimes Times)> SelectAsync(long? version, CancellationToken cancellationToken)
    {
        if (await ReadLastCheckpointAsync(cancellationToken).ConfigureAwait(false) is { } hint && (version is null || version >= hint))
        {
            var recent = await ListAsync(CommitFile.Prefix(hint), cancellationToken).ConfigureAwait(false);
            if (recent.HasCheckpoint(hint) && TrySelect(recent, version) is { CheckpointVersion: >= 0 } segment) return (segment, recent);
        }
        var times = await ListAsync(cancellationToken).ConfigureAwait(false);
        return (LogSegment.Select(paths.Table, times.Names, version), times);
    }

    private LogSegment? TrySelect(LogTimes recent, long? version)
    {
        try
        {
            return LogSegment.Select(paths.Table, recent.Names, version);
        }
        catch (DeltaException)
        {
            return null;
        }
    }

    private async Task<LogTimes> ListAsync(string? startAfter, CancellationToken cancellationToken)
    {
        var times = new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal);
        var items = store.ListAsync(Folder, startAfter is null ? null : KeyOf(startAfter), cancellationToken);
        await foreach (var item in items.ConfigureAwait(false)) times[item.Key[Folder.Length..]] = item.ModifiedAt;
        return new(times);
    }

    private async Task ApplyAsync(LogReplay replay, IReadOnlyList<long> commits, LogTimes times, CancellationToken cancellationToken)
    {
        foreach (var some in commits.Chunk(ConcurrentReads))
        {
            var read = await Task.WhenAll(some.Select(commit => ReadCommitAsync(commit, cancellationToken))).ConfigureAwait(false);
            foreach (var (commit, lines) in some.Zip(read))
                replay.Apply(commit, times.Of(commit), lines
                    ?? throw new DeltaException($"{KeyOf(CommitFile.Name(commit))} was deleted while the log was read"));
        }
    }

    /// <returns>null: none, or none that can be made sense of. It is a hint only.</returns>
    private async Task<long?> ReadLastCheckpointAsync(CancellationToken cancellationToken)
    {
        if (await ReadAsync(KeyOf(LastCheckpoint.FileName), cancellationToken).ConfigureAwait(false) is not { } bytes) return null;
        try
        {
            using var json = JsonDocument.Parse(bytes);
            return json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("version", out var version)
                && version.ValueKind == JsonValueKind.Number
                && version.TryGetInt64(out var number) && number >= 0
                ? number
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private async Task<ReadOnlyMemory<byte>?> ReadAsync(string key, CancellationToken cancellationToken)
    {
        var source = await store.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (source is null) return null;
        await using (source.ConfigureAwait(false))
        {
            using var bytes = new MemoryStream();
            await source.CopyToAsync(bytes, cancellationToken).ConfigureAwait(false);
            return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
        }
    }
}

/// <summary>A listing of the log: the files, and when each commit was made, as far as the store says.</summary>
internal sealed class LogTimes
{
    private readonly IReadOnlyDictionary<string, DateTimeOffset> files;
    private readonly SortedList<long, DateTimeOffset> commits = [];

    public LogTimes(IReadOnlyDictionary<string, DateTimeOffset> files)
    {
        this.files = files;
        foreach (var (name, time) in files)
            if (LogFileName.Parse(name) is { Parts: 0 } commit) commits[commit.Version] = time;
        // Clocks go back; versions do not: each is at least a millisecond later than the one before it.
        for (var i = 1; i < commits.Count; i++)
            if (commits.GetValueAtIndex(i) <= commits.GetValueAtIndex(i - 1))
                commits.SetValueAtIndex(i, commits.GetValueAtIndex(i - 1).AddMilliseconds(1));
    }

    public IEnumerable<string> Names => files.Keys;

    /// <summary>Ascending.</summary>
    public IList<long> Commits => commits.Keys;

    public bool HasCheckpoint(long version) => files.Keys.Any(name => LogFileName.Parse(name) is { Parts: > 0 } checkpoint && checkpoint.Version == version);

    /// <summary>Of the commit, or where only its checkpoint is left, of that.</summary>
    public DateTimeOffset Of(long version) => commits.TryGetValue(version, out var time)
        ? time
        : files.Where(file => LogFileName.Parse(file.Key)?.Version == version).Max(file => file.Value);
}
