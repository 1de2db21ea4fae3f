using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Datasets;

/// <summary>What SQL queries on datasets may take of the machine.</summary>
public sealed record QueryOptions
{
    /// <summary>Bytes of memory of one query.</summary>
    [Range(64L << 20, 1L << 40)]
    public long MemoryBytes { get; init; } = 1L << 30;

    /// <summary>Time of one query, the wait for its turn included.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Queries at once, each with a process of one thread; further ones wait for their turn.</summary>
    [Range(1, 256)]
    public int Concurrency { get; init; } = 2;

    /// <summary>Most rows of a page.</summary>
    [Range(1, 1_000_000)]
    public int PageRows { get; init; } = 10_000;

    /// <summary>Bytes of JSON after which a page ends early.</summary>
    [Range(1L << 10, 1L << 30)]
    public long PageBytes { get; init; } = 16L << 20;

    /// <summary>Largest CSV or Parquet file of a query's rows, in bytes.</summary>
    [Range(1L << 20, 1L << 40)]
    public long FileBytes { get; init; } = 4L << 30;

    /// <summary>Bytes of copies of table files, where the object store is not a folder of plain files.</summary>
    [Range(1L << 20, 1L << 44)]
    public long CacheBytes { get; init; } = 16L << 30;
}
