using System.Globalization;

namespace ModelOps.Tables.Delta;

/// <summary>The files of the log that make up one version, chosen by their names alone.</summary>
/// <param name="Checkpoint">Names of its parts; empty: from version 0 on by commits.</param>
/// <param name="CheckpointVersion">-1: none.</param>
/// <param name="Commits">Versions after the checkpoint, in order.</param>
internal sealed record LogSegment(IReadOnlyList<string> Checkpoint, long CheckpointVersion, IReadOnlyList<long> Commits)
{
    public long Version => Commits.Count > 0 ? Commits[^1] : CheckpointVersion;

    /// <param name="names">File names, in any order; others than commits and checkpoints are passed over, _last_checkpoint too.</param>
    /// <param name="version">null: the latest.</param>
    /// <exception cref="DeltaException">There is no table, no such version, or a commit or a part of a checkpoint is missing.</exception>
    public static LogSegment Select(string table, IEnumerable<string> names, long? version)
    {
        var files = names.Select(LogFileName.Parse).OfType<LogFileName>().ToList();
        if (files.Count == 0) throw new DeltaException($"there is no Delta table at {table}: {CommitFile.LogFolder} has no commit");
        var latest = files.Max(file => file.Version);
        var wanted = version ?? latest;
        if (wanted < 0 || wanted > latest) throw new DeltaException($"{table} has no version {wanted}; the latest is {latest}");

        var (checkpoint, start) = LatestCheckpoint(files, wanted);
        var commits = files.Where(file => file.Parts == 0 && file.Version > start && file.Version <= wanted)
            .Select(file => file.Version)
            .Order()
            .ToList();
        for (var i = 0; i < wanted - start; i++)
            if (i >= commits.Count || commits[i] != start + 1 + i)
                throw new DeltaException(
                    $"the log of {table} has a gap: {CommitFile.Name(start + 1 + i)} is missing{MissingPart(files, start, wanted)}");
        return new(checkpoint, start, commits);
    }

    private static (IReadOnlyList<string> Parts, long Version) LatestCheckpoint(List<LogFileName> files, long wanted)
    {
        var latest = Checkpoints(files, wanted).Where(checkpoint => checkpoint.Count() == checkpoint.Key.Parts)
            .OrderBy(checkpoint => checkpoint.Key.Version)
            .ThenByDescending(checkpoint => checkpoint.Key.Parts)
            .LastOrDefault();
        return latest is null ? ([], -1) : ([.. latest.Select(part => part.Name).Order(StringComparer.Ordinal)], latest.Key.Version);
    }

    /// <summary>The multi-part checkpoint that would have closed the gap, if one is incomplete.</summary>
    private static string MissingPart(List<LogFileName> files, long start, long wanted)
    {
        var incomplete = Checkpoints(files, wanted).Where(checkpoint => checkpoint.Key.Version > start).MaxBy(checkpoint => checkpoint.Key.Version);
        if (incomplete is null) return "";
        var (version, parts) = (incomplete.Key.Version, incomplete.Key.Parts);
        var there = incomplete.Select(part => part.Name).ToHashSet(StringComparer.Ordinal);
        var missing = Enumerable.Range(1, parts).Select(part => LogFileName.OfPart(version, part, parts)).First(name => !there.Contains(name));
        return $", and the checkpoint of version {version} lacks {missing}";
    }

    private static IEnumerable<IGrouping<(long Version, int Parts, string? Id), LogFileName>> Checkpoints(List<LogFileName> files, long wanted) =>
        files.Where(file => file.Parts > 0 && file.Version <= wanted).GroupBy(file => (file.Version, file.Parts, file.Id));
}

/// <param name="Parts">0: a commit; otherwise how many files its checkpoint has.</param>
/// <param name="Id">Of a checkpoint that is named by a UUID.</param>
internal sealed record LogFileName(string Name, long Version, int Parts, string? Id = null)
{
    /// <returns>null: the name of neither a commit nor a checkpoint.</returns>
    public static LogFileName? Parse(string name)
    {
        var parts = name.Split('.');
        if (parts[0].Length != 20 || !TryParse(parts[0], out var version)) return null;
        return parts[1..] switch
        {
            ["json"] => new(name, version, 0),
            ["checkpoint", "parquet"] => new(name, version, 1),
            ["checkpoint", { Length: 36 } id, "json" or "parquet"] when Guid.TryParse(id, out _) => new(name, version, 1, id),
            ["checkpoint", { Length: 10 } part, { Length: 10 } count, "parquet"]
                when TryParse(part, out var number) && TryParse(count, out var all) && number >= 1 && number <= all && all <= int.MaxValue
                => new(name, version, (int)all),
            _ => null,
        };
    }

    public static string OfPart(long version, int part, int parts) =>
        string.Create(CultureInfo.InvariantCulture, $"{version:D20}.checkpoint.{part:D10}.{parts:D10}.parquet");

    private static bool TryParse(string digits, out long number) =>
        long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
