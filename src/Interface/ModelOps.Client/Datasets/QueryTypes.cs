using System.Text.Json;

namespace ModelOps.Client;

/// <summary>One SELECT on the tables train, validation, test and quarantine of a dataset, and on those of others: <c>other.train</c>, <c>"other@2".train</c>.</summary>
public sealed record QueryDataset
{
    /// <summary>In DuckDB's dialect.</summary>
    public required string Sql { get; init; }

    /// <value>The default is the newest.</value>
    public string? Version { get; init; }

    /// <summary>Most rows of the page; at most <c>queries:page_rows</c>.</summary>
    /// <value>The default is 1000.</value>
    public int? Limit { get; init; }

    /// <summary>The <see cref="QueryResult.Next"/> of the page before.</summary>
    public string? Cursor { get; init; }

    /// <summary>json for a page; csv or parquet for a file of all rows.</summary>
    /// <value>The default is json.</value>
    public string? Format { get; init; }
}

public sealed record QueryResult
{
    /// <summary>Which version each dataset was read in, by the name in the query.</summary>
    public required IReadOnlyDictionary<string, string> Versions { get; init; }

    public required IReadOnlyList<ResultColumn> Columns { get; init; }

    /// <summary>A JSON object each.</summary>
    public required IReadOnlyList<JsonElement> Rows { get; init; }

    /// <summary>The cursor of the next page, of the same versions; null after the last one.</summary>
    public string? Next { get; init; }
}

/// <param name="Type">In DuckDB's words.</param>
public sealed record ResultColumn(string Name, string Type);

/// <summary>What one version of a dataset has that another has not; a row is its content.</summary>
public sealed record DatasetDiff
{
    public required string Dataset { get; init; }

    public required string From { get; init; }

    public required string To { get; init; }

    /// <summary>Per split.</summary>
    public required IReadOnlyDictionary<string, SplitDiff> Splits { get; init; }

    /// <summary>A JSON object each: <c>change</c> (added or removed), <c>split</c>, and the columns of the dataset.</summary>
    public required IReadOnlyList<JsonElement> Rows { get; init; }

    /// <summary>The cursor of the next page; null after the last one.</summary>
    public string? Next { get; init; }
}

/// <param name="Moved">Rows of both versions that came from another split.</param>
public sealed record SplitDiff(long Added, long Removed, long Moved);

/// <summary>How a version came to be.</summary>
public sealed record DatasetHistoryEntry
{
    public required string Version { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required string CreatedBy { get; init; }

    public required string FileName { get; init; }

    public required string SourceSha256 { get; init; }

    public required string Task { get; init; }

    /// <summary>Per split.</summary>
    public required IReadOnlyDictionary<string, long> Rows { get; init; }

    public required long RejectedRows { get; init; }

    /// <summary>Version of the Delta table datasets/NAME/TABLE per table.</summary>
    public required IReadOnlyDictionary<string, long> TableVersions { get; init; }
}
