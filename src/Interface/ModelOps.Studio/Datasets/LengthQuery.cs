namespace ModelOps.Studio.Datasets;

/// <summary>How many rows have which length.</summary>
internal static class LengthQuery
{
    private const int MostBins = 24;

    /// <summary>Bins of equal width up to the 99th percentile; the few rows beyond are in the last one.</summary>
    /// <param name="task">Of the dataset: which columns have texts.</param>
    /// <param name="length"><c>characters</c> or <c>messages</c></param>
    public static string Of(string task, string length, IEnumerable<string> splits)
    {
        var lengths = LengthsOf(task);
        var rows = string.Join(" UNION ALL ", splits.Select(split => $"SELECT {lengths} FROM {split}"));
        return $"""
            WITH lengths AS (SELECT {length} AS n FROM ({rows})),
                ends AS (SELECT min(n) AS low, greatest(quantile_disc(n, 0.99) - min(n) + 1, 1) AS wide FROM lengths)
            SELECT least({MostBins - 1}, (n - low) * least({MostBins}, wide) // wide) AS bin,
                CAST(min(n) AS BIGINT) AS least, CAST(max(n) AS BIGINT) AS most, count(*) AS rows
            FROM lengths, ends GROUP BY bin ORDER BY bin
            """;
    }

    private static string LengthsOf(string task)
    {
        string[] parts = task switch
        {
            "preference" => ["prompt", "chosen", "rejected"],
            "kto" => ["prompt", "completion"],
            "text" => [],
            _ => ["messages"],
        };
        if (parts.Length == 0) return "length(text) AS characters, 1 AS messages";
        var messages = parts.Select(part => $"len({part})");
        var characters = parts.Select(part => $"(SELECT coalesce(sum(length(m.content)), 0) FROM (SELECT unnest({part}) AS m))");
        return $"{string.Join(" + ", messages)} AS messages, {string.Join(" + ", characters)} AS characters";
    }
}
