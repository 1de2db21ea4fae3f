using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>The log of one table, read from a store.</summary>
internal sealed class DeltaLog(IObjectStore store, string table)
{
    private string Folder => $"{table}/{CommitFile.LogFolder}/";

    public string KeyOf(string name) => Folder + name;

    /// <param name="version">null: the latest.</param>
    /// <exception cref="DeltaException">There is no such version, or the log is broken.</exception>
    public async Task<LogReplay> ReplayAsync(long? version, CancellationToken cancellationToken)
    {
        var times = new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal);
        await foreach (var item in store.ListAsync(Folder, cancellationToken: cancellationToken).ConfigureAwait(false))
            times[item.Key[Folder.Length..]] = item.ModifiedAt;
        var segment = LogSegment.Select(table, times.Keys, version);
        var replay = new LogReplay(table);
        foreach (var part in segment.Checkpoint)
        {
            var lines = CheckpointFile.ReadAsync(store, KeyOf(part), cancellationToken);
            replay.Apply(segment.CheckpointVersion, times[part], await lines.ToListAsync(cancellationToken).ConfigureAwait(false));
        }
        foreach (var commit in segment.Commits)
            replay.Apply(commit, times[CommitFile.Name(commit)], await ReadCommitAsync(commit, cancellationToken).ConfigureAwait(false)
                ?? throw new DeltaException($"{KeyOf(CommitFile.Name(commit))} was deleted while the log was read"));
        return replay;
    }

    /// <summary>Applies what was committed since.</summary>
    public async Task CatchUpAsync(LogReplay replay, CancellationToken cancellationToken)
    {
        while (await store.HeadAsync(KeyOf(CommitFile.Name(replay.Version + 1)), cancellationToken).ConfigureAwait(false) is { } next
            && await ReadCommitAsync(replay.Version + 1, cancellationToken).ConfigureAwait(false) is { } lines)
            replay.Apply(replay.Version + 1, next.ModifiedAt, lines);
    }

    /// <returns>null: there is no such commit.</returns>
    public async Task<IReadOnlyList<LogLine>?> ReadCommitAsync(long version, CancellationToken cancellationToken)
    {
        var key = KeyOf(CommitFile.Name(version));
        var source = await store.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (source is null) return null;
        await using (source.ConfigureAwait(false))
        {
            using var bytes = new MemoryStream();
            await source.CopyToAsync(bytes, cancellationToken).ConfigureAwait(false);
            return CommitFile.Parse(key, bytes.GetBuffer().AsMemory(0, (int)bytes.Length));
        }
    }
}
