using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Data.Tests.Datasets;

public sealed class QueryEngineTests : IDisposable
{
    private const long Memory = 256 << 20;
    private readonly TestIngestion ingestion = new();
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");

    public void Dispose()
    {
        ingestion.Dispose();
        folder.Delete(recursive: true);
    }

    /// <summary>Every way that DuckDB's documentation names to reach beyond the tables or to change something.</summary>
    public static TheoryData<string> Escapes =>
    [
        "COPY train TO '{0}/out.csv'",
        "COPY (SELECT 1) TO '{0}/out.parquet' (FORMAT parquet)",
        "EXPORT DATABASE '{0}/out'",
        "ATTACH '{0}/out.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CREATE TABLE t AS SELECT 1",
        "CREATE SECRET s (TYPE s3)",
        "INSERT INTO train SELECT * FROM train",
        "DELETE FROM train",
        "DROP VIEW train",
        "VACUUM",
        "BEGIN TRANSACTION",
        "USE information_schema",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; COPY train TO '{0}/out.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/*')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'https://example.org/a.parquet'",
        "SELECT * FROM read_parquet('s3://bucket/a.parquet')",
        "SELECT * FROM query('COPY train TO ''{0}/out.csv''')",
        "SELECT getenv('HOME')",
        "SELECT * FROM json_execute_serialized_sql('x')",
    ];

    [Theory]
    [MemberData(nameof(Escapes))]
    public async Task Run_WhatIsNoQueryOfTheTables_IsRefused(string sql)
    {
        var before = Directory.GetFileSystemEntries(folder.FullName, "*", SearchOption.AllDirectories);
        var answer = await AskAsync(string.Format(System.Globalization.CultureInfo.InvariantCulture, sql, folder.FullName));
        Assert.NotEmpty(Assert.IsType<QueryAnswer.Refused>(answer).Message);
        Assert.Equal(before, Directory.GetFileSystemEntries(folder.FullName, "*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData("SELEC 1", 1, 1, "syntax error")]
    [InlineData("SELECT id\nFROM train\nWHERE foo = 1", 3, 7, "\"foo\" not found")]
    [InlineData("SELECT 'é',\n  nothing(1)", 2, 3, "nothing")]
    [InlineData("SELECT * FROM trains", 1, 15, "Did you mean \"train\"")]
    [InlineData("DESCRIBE trains", 1, 10, "trains does not exist")]
    public async Task Run_Mistake_IsExplainedWithItsPlace(string sql, int line, int column, string words)
    {
        var refused = Assert.IsType<QueryAnswer.Refused>(await AskAsync(sql));
        Assert.Equal((line, column), (refused.Line, refused.Column));
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "the query is empty")]
    [InlineData("SELECT 1; SELECT 2", "2 statements were sent")]
    public async Task Run_NotOneStatement_IsRefused(string sql, string words) =>
        Assert.Contains(words, Assert.IsType<QueryAnswer.Refused>(await AskAsync(sql)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Run_DeepNesting_IsRefused() =>
        Assert.IsType<QueryAnswer.Refused>(await AskAsync($"SELECT {new string('(', 20_000)}1{new string(')', 20_000)}"));

    [Fact]
    public async Task Run_Conversations_AreListsOfStructs()
    {
        var rows = await RowsAsync("SELECT len(messages) AS turns, messages[1].role AS first, m.content FROM train, unnest(messages) AS u(m) WHERE source_line = 7 ORDER BY ALL; -- all of it");
        Assert.Equal(["""{"turns":2,"first":"user","content":"a7"}""", """{"turns":2,"first":"user","content":"q7"}"""], rows);
        Assert.Equal(
            ["""{"column_name":"id","column_type":"VARCHAR"}""", """{"column_name":"messages","column_type":"STRUCT(\"role\" VARCHAR, \"content\" VARCHAR, tool_calls VARCHAR, tool_call_id VARCHAR, \"name\" VARCHAR)[]"}"""],
            await RowsAsync("SELECT column_name, column_type FROM (DESCRIBE train) LIMIT 2"));
        Assert.Equal(4, (await RowsAsync("SUMMARIZE train")).Count(row => row.Contains("\"column_name\"", StringComparison.Ordinal)));
    }

    /// <summary>A table without a file has its columns all the same.</summary>
    [Fact]
    public async Task Run_EmptyTable_HasItsColumns() => Assert.Equal(
        ["""{"n":0}"""], await RowsAsync("SELECT count(raw) AS n FROM quarantine WHERE reason LIKE '%JSON%' AND source_line > 3"));

    [Fact]
    public async Task Run_ValuesThatJsonLacks_AreNullOrText()
    {
        var row = Assert.Single(await RowsAsync(
            "SELECT 'nan'::DOUBLE AS n, [1.5, '-infinity'::DOUBLE] AS l, 'NaN \"Infinity' AS t, 9007199254740993 AS b, DATE '2020-01-02' AS d, 1 AS a, 2 AS a"));
        Assert.Equal("""{"n":null,"l":[1.5,null],"t":"NaN \"Infinity","b":9007199254740993,"d":"2020-01-02","a":1,"a_1":2}""", row);
    }

    [Fact]
    public async Task Run_Pages_GiveEveryRowOnce()
    {
        var lines = new List<long>();
        for (var (offset, more) = (0, true); more; offset = lines.Count)
        {
            var page = Assert.IsType<QueryAnswer.Rows>(await AskAsync("SELECT source_line FROM train UNION ALL SELECT source_line FROM test", new QueryPage(offset, 100, long.MaxValue)));
            lines.AddRange(page.Items.Select(row => row.GetProperty("source_line").GetInt64()));
            more = page.HasMore;
        }
        Assert.Equal(lines.Count, lines.Distinct().Count());
        Assert.Equal(lines.Count, (await RowsAsync("SELECT source_line FROM train UNION ALL SELECT source_line FROM test")).Count);
        var byBytes = Assert.IsType<QueryAnswer.Rows>(await AskAsync("FROM train", new QueryPage(0, 100, 1000)));
        Assert.True(byBytes is { HasMore: true, Items.Count: > 1 and < 20 });
    }

    [Fact]
    public async Task Run_File_HasAllRows()
    {
        var count = (await RowsAsync("FROM train")).Count;
        var csv = Path.Combine(folder.FullName, "it's.csv");
        Assert.Equal(new QueryAnswer.Written(count), await AskAsync("SELECT source_line, messages FROM train ORDER BY source_line", file: new(csv, QueryFormat.Csv)));
        var lines = await File.ReadAllLinesAsync(csv, TestIngestion.Cancel);
        Assert.Equal((count + 1, "source_line,messages"), (lines.Length, lines[0]));
        Assert.Contains("\"[{\"\"role\"\":\"\"user\"\",", lines[1], StringComparison.Ordinal);
        var parquet = Path.Combine(folder.FullName, "rows.parquet");
        Assert.Equal(new QueryAnswer.Written(count), await AskAsync("FROM train", file: new(parquet, QueryFormat.Parquet)));
        Assert.Equal("PAR1"u8.ToArray(), (await File.ReadAllBytesAsync(parquet, TestIngestion.Cancel))[..4]);
    }

    [Fact]
    public void Understand_Names_AreThoseOfTables()
    {
        using var engine = new QueryEngine(Memory);
        var understood = Assert.IsType<QueryAnswer.Understood>(engine.Understand(
            "WITH x AS (FROM other.Train) SELECT *, (SELECT max(id) FROM \"other@2\".test) FROM x JOIN validation USING (id) WHERE id IN (FROM foo) -- quarantine"));
        Assert.Equal(
            [new("other", "train"), new("other@2", "test"), new(null, "validation")],
            understood.Tables.OrderBy(table => table.Table == "validation").ThenBy(table => table.Dataset, StringComparer.Ordinal));
    }

    [Fact]
    public async Task Run_Canceled_InterruptsDuckDb()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(TestIngestion.Cancel);
        var query = new TableQuery("SELECT count(*) FROM range(1000000000) a, range(1000000) b", [], new QueryPage(0, 10, long.MaxValue));
        using var engine = new QueryEngine(Memory);
        var running = Task.Run(() => engine.Run(query, cancel.Token), TestIngestion.Cancel);
        cancel.CancelAfter(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running.WaitAsync(TimeSpan.FromSeconds(30), TestIngestion.Cancel));
    }

    [Fact]
    public async Task Run_TooMuchMemory_IsRefused() => Assert.Contains(
        "needs more memory than 268 MB",
        Assert.IsType<QueryAnswer.Refused>(await AskAsync("SELECT count(*) FROM (SELECT DISTINCT hash(i)::VARCHAR || hash(i + 1)::VARCHAR FROM range(100000000) t(i))")).Message,
        StringComparison.Ordinal);

    private async Task<List<string>> RowsAsync(string sql)
    {
        var answer = await AskAsync(sql);
        return [.. Assert.IsType<QueryAnswer.Rows>(answer).Items.Select(row => row.GetRawText())];
    }

    private async Task<QueryAnswer> AskAsync(string sql, QueryPage? page = null, QueryFile? file = null)
    {
        var ingested = await ingestion.IngestAsync(TestIngestion.Lines(500));
        using var files = new TableFiles(ingestion.Tables.Store, Path.Combine(folder.FullName, "copies"), 0);
        using var tables = await QueryTables.OpenAsync(
            ingestion.Tables.Store, files,
            [.. ingested.TableVersions.Select(version => new VersionedTable(new(null, version.Key), "d", version.Value))], TestIngestion.Cancel);
        using var engine = new QueryEngine(Memory);
        return engine.Run(new(sql, tables!.Tables, file is null ? page ?? new(0, 10_000, long.MaxValue) : null, file), TestIngestion.Cancel);
    }
}
