using System.Globalization;
using System.Runtime.CompilerServices;

namespace ModelOps.Tables.Delta;

/// <summary>Who made a version, when and how; what its writer did not say is null.</summary>
/// <param name="Timestamp">What the commit says itself, otherwise when its file was written; later than the version before it.</param>
/// <param name="Operation">As its writer calls it, such as WRITE, DELETE or MERGE.</param>
/// <param name="Parameters">Values are JSON texts or plain texts, as the writer chose.</param>
/// <param name="Job">The id of the job that wrote it.</param>
/// <param name="Metrics">Such as numOutputRows, as the writer counted.</param>
public sealed record TableCommit(
    long Version,
    DateTimeOffset Timestamp,
    string? Operation,
    IReadOnlyDictionary<string, string>? Parameters,
    string? User,
    string? Job,
    string? TraceId,
    long? ReadVersion,
    string? IsolationLevel,
    bool? IsBlindAppend,
    IReadOnlyDictionary<string, string>? Metrics,
    string? Engine);

/// <summary>The commits of a log in time.</summary>
internal sealed class TableHistory(DeltaLog log, string table)
{
    public async IAsyncEnumerable<TableCommit> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var times = await log.ListAsync(cancellationToken).ConfigureAwait(false);
        foreach (var version in times.Commits.Reverse())
        {
            // Cleaned away meanwhile: so is what came before it.
            if (await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false) is not { } lines) yield break;
            yield return Commit(version, times.Of(version), lines);
        }
    }

    /// <exception cref="DeltaException">The log begins later.</exception>
    public async Task<long> VersionAtAsync(DateTimeOffset time, CancellationToken cancellationToken)
    {
        var times = await log.ListAsync(cancellationToken).ConfigureAwait(false);
        var latest = (await log.ReplayAsync(version: null, cancellationToken).ConfigureAwait(false)).ToSnapshot();
        // Commits say themselves when they were made from the version on in which that was enabled; by then, not by the files, is searched.
        var said = TableFeatures.HasInCommitTimestamps(latest.Protocol, latest.Metadata) ? Setting(latest, "delta.inCommitTimestampEnablementVersion") ?? 0 : long.MaxValue;
        var saidFrom = Setting(latest, "delta.inCommitTimestampEnablementTimestamp") is { } milliseconds ? CommitInfo.Time(milliseconds) : DateTimeOffset.MinValue;
        var isSaid = said != long.MaxValue && time >= saidFrom;
        var versions = times.Commits.Where(version => isSaid ? version >= said : version < said).ToList();
        var (low, high) = (0, versions.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            var at = isSaid ? await SaidTimeAsync(versions[middle], times, cancellationToken).ConfigureAwait(false) : times.Of(versions[middle]);
            if (at <= time) low = middle + 1;
            else high = middle;
        }
        return low > 0 ? versions[low - 1] : throw new DeltaException(string.Create(
            CultureInfo.InvariantCulture,
            $"{table} has no version of {time:O}: the log begins with version {times.Commits.FirstOrDefault()}, which is later"));
    }

    private async Task<DateTimeOffset> SaidTimeAsync(long version, LogTimes times, CancellationToken cancellationToken)
    {
        var lines = await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false) ?? [];
        return Commit(version, times.Of(version), lines).Timestamp;
    }

    private static TableCommit Commit(long version, DateTimeOffset modified, IReadOnlyList<LogLine> lines)
    {
        var info = lines.Select(line => line.CommitInfo).FirstOrDefault(info => info is not null) is { } said ? CommitInfo.From(said) : new();
        return new(
            version,
            info.InCommitTimestamp is { } milliseconds ? CommitInfo.Time(milliseconds) : modified,
            info.Operation,
            info.OperationParameters,
            info.UserName ?? info.UserId,
            info.Job?.JobId,
            info.TraceId,
            info.ReadVersion,
            info.IsolationLevel,
            info.IsBlindAppend,
            info.OperationMetrics,
            info.EngineInfo);
    }

    private static long? Setting(Snapshot snapshot, string name) =>
        long.TryParse(snapshot.Metadata.Configuration?.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
