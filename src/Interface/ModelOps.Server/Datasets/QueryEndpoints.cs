using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Server.Datasets;

/// <summary>What is in the rows of datasets: queries, and what changed from version to version.</summary>
public static class QueryEndpoints
{
    private const int DefaultDiffRows = 100;
    private static readonly string[] splits = ["train", "validation", "test"];

    public static void MapQueries(this IEndpointRouteBuilder datasets)
    {
        datasets.MapPost("/{name}/query", QueryAsync)
            .WithName("queryDataset").WithSummary("Answers one SELECT on the rows of dataset versions, with a page of JSON or a CSV or Parquet file.")
            .Produces<QueryResult>();
        datasets.MapGet("/{name}/diff", DiffAsync)
            .WithName("diffDataset").WithSummary("Tells which rows a version has and another has not, with counts per split.").Produces<DatasetDiff>();
        datasets.MapGet("/{name}/history", HistoryAsync)
            .WithName("listDatasetHistory").WithSummary("Tells how a dataset's versions came to be, newest first.").Produces<Page<DatasetHistoryEntry>>();
    }

    private static async Task<IResult> QueryAsync(string name, QueryDataset query, DatasetQueries queries, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        if (query.Format is not (null or "json" or "csv" or "parquet")) errors.Add($"format must be one of json, csv, parquet, not '{query.Format}'");
        if (query.Limit is <= 0) errors.Add($"limit must be above 0, not {query.Limit}");
        if (query is { Format: "csv" or "parquet" } and ({ Limit: not null } or { Cursor: not null })) errors.Add("limit and cursor are of pages, format json");
        if (errors.Count > 0) return Problems.Invalid(errors);
        QueryFormat? format = query.Format switch { "csv" => QueryFormat.Csv, "parquet" => QueryFormat.Parquet, _ => null };
        return await queries.RunAsync(name, query, format, cancellationToken) switch
        {
            QueryOutcome.Page page => Results.Ok(page.Result),
            QueryOutcome.File file => Results.Stream(file.Content, format == QueryFormat.Csv ? "text/csv" : "application/vnd.apache.parquet"),
            var other => Refuse(other),
        };
    }

    private static async Task<IResult> DiffAsync(
        string name, string? from, string? to, int? limit, string? cursor, DatasetCatalog catalog, DatasetQueries queries, CancellationToken cancellationToken)
    {
        if (await catalog.GetAsync(name, version: null, cancellationToken) is not { Versions: var versions })
            return Problems.NotFound(DatasetEndpoints.NoSuchDataset(name));
        to ??= versions[^1].Version;
        var index = versions.ToList().FindIndex(version => version.Version == to);
        if (index < 0) return Problems.NotFound(DatasetEndpoints.NoSuchDataset($"{name}@{to}"));
        if (from is null && index == 0) return Problems.Invalid($"{name}@{to} is the first version; name the version to compare it with (from)");
        from ??= versions[index - 1].Version;
        var sql = new DiffSql(name, from, to);
        var counts = await queries.RunAsync(name, new() { Sql = sql.Counts }, format: null, cancellationToken);
        if (counts is not QueryOutcome.Page { Result.Rows: var counted }) return Refuse(counts);
        var changes = new QueryDataset { Sql = sql.Rows, Limit = limit ?? DefaultDiffRows, Cursor = cursor };
        return await queries.RunAsync(name, changes, format: null, cancellationToken) switch
        {
            QueryOutcome.Page { Result: var page } => Results.Ok(new DatasetDiff
            {
                Dataset = name,
                From = from,
                To = to,
                Splits = splits.ToDictionary(split => split, split => Of(counted, split), StringComparer.Ordinal),
                Rows = page.Rows,
                Next = page.Next,
            }),
            var other => Refuse(other),
        };
    }

    private static async Task<IResult> HistoryAsync(string name, DatasetCatalog catalog, CancellationToken cancellationToken) =>
        await catalog.HistoryAsync(name, cancellationToken) is { Count: > 0 } history
            ? Results.Ok(new Page<DatasetHistoryEntry>(history))
            : Problems.NotFound(DatasetEndpoints.NoSuchDataset(name));

    private static SplitDiff Of(IReadOnlyList<JsonElement> counted, string split)
    {
        var row = counted.FirstOrDefault(row => row.GetProperty("split").GetString() == split);
        long Number(string name) => row.ValueKind == JsonValueKind.Undefined ? 0 : row.GetProperty(name).GetInt64();
        return new(Number("added"), Number("removed"), Number("moved"));
    }

    private static IResult Refuse(QueryOutcome outcome) => outcome switch
    {
        QueryOutcome.NoSuchDataset missing => Problems.NotFound(DatasetEndpoints.NoSuchDataset(missing.Reference)),
        QueryOutcome.Refused refused => Problems.Invalid(refused.Reason),
        _ => throw new InvalidOperationException($"{outcome} is no refusal"),
    };

    /// <summary>The comparison of two versions, as queries.</summary>
    private sealed record DiffSql(string Dataset, string From, string To)
    {
        public string Counts => $"""
            SELECT coalesce(a.split, b.split) AS split, count(*) FILTER (b.id IS NULL) AS added, count(*) FILTER (a.id IS NULL) AS removed,
                count(*) FILTER (a.split <> b.split) AS moved
            FROM ({All(From, "id")}) b FULL JOIN ({All(To, "id")}) a USING (id) GROUP BY ALL
            """;

        public string Rows => $"""
            SELECT 'added' AS change, * FROM ({All(To, "*")}) WHERE id NOT IN (SELECT id FROM ({All(From, "id")}))
            UNION ALL SELECT 'removed', * FROM ({All(From, "*")}) WHERE id NOT IN (SELECT id FROM ({All(To, "id")}))
            ORDER BY change, split, source_line, id
            """;

        private string All(string version, string columns) => string.Join(
            " UNION ALL ", splits.Select(split => $"SELECT '{split}' AS split, {columns} FROM {Schema(version)}.{split}"));

        private string Schema(string version) => $"\"{$"{Dataset}@{version}".Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
