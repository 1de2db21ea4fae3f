using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.WebUtilities;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;
using ModelOps.Storage;
using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Server.Datasets;

public abstract record QueryOutcome
{
    private QueryOutcome()
    {
    }

    public sealed record Page(QueryResult Result) : QueryOutcome;

    /// <param name="Content">The caller's to dispose; the file goes with it.</param>
    public sealed record File(Stream Content) : QueryOutcome;

    public sealed record NoSuchDataset(string Reference) : QueryOutcome;

    public sealed record Refused(string Reason) : QueryOutcome;
}

/// <summary>
/// The one way in which rows of datasets are queried. A query's tables are those of dataset versions: the pages of one query are of the same
/// versions, whatever is ingested meanwhile.
/// </summary>
public sealed class DatasetQueries(
    DatasetCatalog catalog, ObjectStores stores, ServerHome home, QueryOptions options, TimeProvider time) : IDisposable
{
    private const int DefaultRows = 1000;
    private static readonly string[] tables = ["train", "validation", "test", "quarantine"];
    private readonly SemaphoreSlim turns = new(options.Concurrency);
    private readonly TableFiles files = new(stores.Tables, Path.Combine(home.Root, "cache", "tables"), options.CacheBytes);

    /// <param name="format">null: a page of JSON.</param>
    public async Task<QueryOutcome> RunAsync(string dataset, QueryDataset query, QueryFormat? format, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(options.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var cursor = QueryCursor.Read(query);
            if (query.Cursor is not null && cursor is null) return new QueryOutcome.Refused("the cursor is of another query; send the query as it was, or no cursor");
            await turns.WaitAsync(both.Token);
            try
            {
                return await RunAsync(dataset, query, format, cursor ?? new(), both.Token);
            }
            finally
            {
                turns.Release();
            }
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new QueryOutcome.Refused($"the query took longer than {options.Timeout.TotalSeconds:0} s (queries:timeout); ask for less, or raise it");
        }
    }

    public void Dispose()
    {
        turns.Dispose();
        files.Dispose();
    }

    private async Task<QueryOutcome> RunAsync(string dataset, QueryDataset query, QueryFormat? format, QueryCursor cursor, CancellationToken cancellationToken)
    {
        using var process = new QueryProcess(options);
        // 1. Which tables it names; one that names none may look for them by other ways (SHOW TABLES).
        var answer = await process.AskAsync(new(Understand: query.Sql), cancellationToken);
        if (answer is not QueryAnswer.Understood { Tables: var named }) return await FailAsync(process, answer);
        if (named.Count == 0) named = [.. tables.Select(table => new TableName(null, table))];
        // 2. Which versions those are.
        var versions = new Dictionary<string, DatasetVersionRow>(StringComparer.Ordinal);
        foreach (var name in named.Select(table => table.Dataset ?? dataset).Append(dataset).Distinct(StringComparer.Ordinal))
        {
            var (bare, version) = name.Split('@', 2) is [var before, var after] ? (before, after) : (name, name == dataset ? query.Version : null);
            version ??= cursor.Versions.GetValueOrDefault(name);
            if (await catalog.FindAsync(bare, version, cancellationToken) is not { } row)
                return new QueryOutcome.NoSuchDataset(version is null || name != bare ? name : $"{name}@{version}");
            versions[name] = row;
        }
        // 3. Their files.
        using var opened = await QueryTables.OpenAsync(
            stores.Tables, files, [.. named.Select(table => Versioned(table, versions[table.Dataset ?? dataset]))], cancellationToken);
        if (opened is null)
            return new QueryOutcome.Refused($"the files of these tables are larger than {options.CacheBytes / 1_000_000} MB together (queries:cache_bytes)");
        // 4. The rows.
        var references = versions.ToDictionary(version => version.Key, version => version.Value.Version, StringComparer.Ordinal);
        return format is { } of
            ? await WriteAsync(process, new(query.Sql, opened.Tables), of, cancellationToken)
            : await ReadAsync(process, query, opened.Tables, cursor with { Versions = references }, cancellationToken);
    }

    private async Task<QueryOutcome> ReadAsync(
        QueryProcess process, QueryDataset query, IReadOnlyList<QueryTable> opened, QueryCursor cursor, CancellationToken cancellationToken)
    {
        var rows = Math.Min(query.Limit ?? DefaultRows, options.PageRows);
        var answer = await process.AskAsync(new(Run: new(query.Sql, opened, new QueryPage(cursor.Offset, rows, options.PageBytes))), cancellationToken);
        if (answer is not QueryAnswer.Rows page) return await FailAsync(process, answer);
        return new QueryOutcome.Page(new()
        {
            Versions = cursor.Versions,
            Columns = [.. page.Columns.Select(column => new ResultColumn(column.Name, column.Type))],
            Rows = page.Items,
            Next = page.HasMore ? (cursor with { Offset = cursor.Offset + page.Items.Count }).Write(query) : null,
        });
    }

    private async Task<QueryOutcome> WriteAsync(QueryProcess process, TableQuery query, QueryFormat format, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateDirectory(Path.Combine(home.Root, "tmp", "queries"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder.FullName, $"{Guid.NewGuid():N}");
        try
        {
            var answer = await process.AskAsync(new(Run: query with { File = new(path, format) }), cancellationToken);
            if (answer is not QueryAnswer.Written) return await FailAsync(process, answer);
            return new QueryOutcome.File(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Delete, 1 << 16, FileOptions.Asynchronous | FileOptions.SequentialScan));
        }
        finally
        {
            System.IO.File.Delete(path); // what is open stays readable, and is gone however this process ends
        }
    }

    /// <param name="answer">null: the process ended without one.</param>
    private async Task<QueryOutcome.Refused> FailAsync(QueryProcess process, QueryAnswer? answer) => answer switch
    {
        QueryAnswer.Refused refused => new(refused.ToString()),
        null => new($"the query was ended: it needs more than {options.MemoryBytes / 1_000_000} MB of memory (queries:memory_bytes), or writes a file "
            + $"of more than {options.FileBytes / 1_000_000} MB (queries:file_bytes); {await process.HowItEndedAsync()}"),
        _ => throw new InvalidOperationException($"{answer} is no answer to this"),
    };

    private static VersionedTable Versioned(TableName name, DatasetVersionRow row) =>
        new(name, row.Dataset, DatasetCatalog.TableVersions(row)[name.Table]);
}

/// <summary>Where a page of a query begins; for clients it is a word without a meaning.</summary>
internal sealed record QueryCursor
{
    /// <summary>Rows before it.</summary>
    public long Offset { get; init; }

    /// <summary>By the dataset's name in the query.</summary>
    public IReadOnlyDictionary<string, string> Versions { get; set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>SHA-256 of the SQL, hex.</summary>
    public string Sql { get; set; } = "";

    public string Write(QueryDataset query) => WebEncoders.Base64UrlEncode(
        JsonSerializer.SerializeToUtf8Bytes(this with { Sql = Hash(query.Sql) }, QueryCursorJson.Default.QueryCursor));

    /// <returns>null: the query has none, or one of another query.</returns>
    public static QueryCursor? Read(QueryDataset query)
    {
        try
        {
            return query.Cursor is { } text
                && JsonSerializer.Deserialize(WebEncoders.Base64UrlDecode(text), QueryCursorJson.Default.QueryCursor) is { Offset: >= 0 } cursor
                && cursor.Sql == Hash(query.Sql) ? cursor : null;
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return null;
        }
    }

    private static string Hash(string sql) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
}

[JsonSerializable(typeof(QueryCursor))]
internal sealed partial class QueryCursorJson : JsonSerializerContext;
