using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Datasets;

/// <summary>
/// A server whose tables are encrypted, so that queries read copies, with small limits and the datasets that the tests ask: a version for each range of
/// rows, and row i is qi, ai.
/// </summary>
public sealed class QueryFixture : IAsyncLifetime
{
    private static readonly (string Name, int First, int Count)[] versions =
        [("one", 0, 40), ("one", 0, 60), ("other", 20, 40), ("other", 0, 5), ("paged", 0, 300), ("changing", 0, 100), ("changing", 10, 110)];

    private TestServer? server;

    internal TestServer Server => server!;

    public async ValueTask InitializeAsync()
    {
        server = await TestServer.StartAsync(
            TestServer.NewHome(), CancellationToken.None, "objects:encryption:master_key=" + Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)i)]),
            "queries:memory_bytes=134217728", "queries:timeout=15s", "queries:page_rows=100", "queries:file_bytes=4194304");
        foreach (var (name, first, count) in versions) await CreateAsync(name, first, count);
    }

    internal async Task CreateAsync(string name, int first, int count)
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(Server.Home, "files", Guid.NewGuid().ToString())).FullName, "rows.jsonl");
        await File.WriteAllLinesAsync(path, Enumerable.Range(first, count).Select(i => JsonSerializer.Serialize(new { prompt = $"q{i}", completion = $"a{i}" })));
        var job = await Server.Client.Datasets.CreateVersionAsync(name, path);
        Assert.Equal(JobState.Succeeded, (await Server.Client.Jobs.WatchAsync(job.Id).LastAsync()).State);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is null) return;
        await server.DisposeAsync();
        Directory.Delete(server.Home, recursive: true);
    }
}

public sealed class DatasetQueryTests(QueryFixture fixture) : IClassFixture<QueryFixture>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private DatasetsClient Datasets => fixture.Server.Client.Datasets;

    [Fact]
    public async Task Query_SeveralDatasetsAndVersions_ReadsTheVersionsThatItNames()
    {
        const string Shared = "SELECT count(*) AS shared FROM all_of_one JOIN all_of_other USING (id)";
        string Sql(string first, string second) => $"WITH all_of_one AS ({All(first)}), all_of_other AS ({All(second)}) {Shared}";
        Assert.Equal(20, await NumberAsync("one", Sql("\"one@1\"", "\"other@1\"")));
        Assert.Equal(40, await NumberAsync("one", Sql("one", "\"other@1\"")));
        Assert.Equal(5, await NumberAsync("one", Sql("one", "other")));
        Assert.Equal(20, await NumberAsync("one", Sql("main", "\"other@1\""), version: "1"));
        var missing = await Assert.ThrowsAsync<ModelOpsException>(() => NumberAsync("one", "SELECT count(*) FROM \"other@7\".train"));
        Assert.Equal(ProblemTypes.NotFound, missing.Problem.Type);
        Assert.Contains("no dataset other@7", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Query_Pages_StayWithTheVersionOfTheFirst()
    {
        var query = new QueryDataset { Sql = $"SELECT source_line FROM ({All("main")})", Limit = 1000 };
        var first = await Datasets.QueryAsync("paged", query, Cancel);
        Assert.Equal(100, first.Rows.Count); // queries:page_rows
        await fixture.CreateAsync("paged", 0, 10);
        var lines = first.Rows.ToList();
        for (var next = first.Next; next is not null;)
        {
            var page = await Datasets.QueryAsync("paged", query with { Cursor = next }, Cancel);
            Assert.Equal("1", page.Versions["paged"]);
            lines.AddRange(page.Rows);
            next = page.Next;
        }
        Assert.Equal(Enumerable.Range(1, 300).Select(line => (long)line), lines.Select(row => row.GetProperty("source_line").GetInt64()).Order());
        var foreign = await Assert.ThrowsAsync<ModelOpsException>(() => Datasets.QueryAsync("paged", query with { Sql = "FROM train", Cursor = first.Next }, Cancel));
        Assert.Contains("the cursor is of another query", foreign.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SELECT foo FROM train", "line 1, column 8: Binder: Referenced column \"foo\" not found")]
    [InlineData("COPY train TO '/tmp/out.csv'", "only a SELECT can be asked")]
    [InlineData("SELECT * FROM read_text('/etc/passwd')", "file system operations are disabled")]
    // A text in the middle of an expression is none of the memory that DuckDB counts.
    [InlineData("SELECT sum(length(repeat('x', 100000000 + i::INT))) FROM range(100) t(i)", "memory")]
    [InlineData("SELECT count(*) FROM (SELECT DISTINCT hash(i)::VARCHAR FROM range(100000000) t(i))", "needs more memory than 134 MB")]
    [InlineData("SELECT count(*) FROM range(1000000000) a, range(1000000) b", "the query took longer than 15 s (queries:timeout)")]
    public async Task Query_BeyondWhatIsAllowed_IsRefusedAndTheServerGoesOn(string sql, string words)
    {
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => Datasets.QueryAsync("one", new() { Sql = sql }, Cancel));
        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.Equal(60, await NumberAsync("one", $"SELECT count(*) FROM ({All("main")})"));
    }

    [Fact]
    public async Task QueryCommand_EveryOutput_HasTheRows()
    {
        const string Name = "paged@1";
        var shown = await RunAsync("datasets", "query", Name, "SELECT source_line AS line, messages[1].content AS question FROM train ORDER BY 1", "--limit", "2");
        Assert.Equal((ExitCodes.Done, 3), (shown.Code, shown.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length));
        Assert.Contains("--cursor ", shown.Error, StringComparison.Ordinal);
        var csv = Path.Combine(fixture.Server.Home, "rows.csv");
        Assert.Equal(ExitCodes.Done, (await RunAsync("datasets", "query", Name, All("main"), "--out", csv)).Code);
        Assert.Equal(301, (await File.ReadAllLinesAsync(csv, Cancel)).Length);
        var parquet = Path.Combine(fixture.Server.Home, "rows.parquet");
        Assert.Equal(ExitCodes.Done, (await RunAsync("datasets", "query", Name, All("main"), "--out", parquet)).Code);
        // What a query writes, a dataset takes.
        Assert.Equal(ExitCodes.Done, (await RunAsync("datasets", "create", "again", parquet)).Code);
        Assert.Equal(300, await NumberAsync("again", $"SELECT count(*) FROM ({All("main")})"));
        var tooLarge = await RunAsync("datasets", "query", Name, "SELECT hash(range) FROM range(10000000)", "--out", csv);
        Assert.Equal(ExitCodes.Usage, tooLarge.Code);
        Assert.Equal(301, (await File.ReadAllLinesAsync(csv, Cancel)).Length);
        Assert.Empty(Directory.GetFiles(fixture.Server.Home, "*.part"));
    }

    [Fact]
    public async Task Diff_OfVersions_CountsAndListsWhatChanged()
    {
        const string Name = "changing";
        var diff = await Datasets.DiffAsync(Name, cancellationToken: Cancel);
        Assert.Equal(("1", "2"), (diff.From, diff.To));
        Assert.Equal((20, 10), (diff.Splits.Values.Sum(split => split.Added), diff.Splits.Values.Sum(split => split.Removed)));
        Assert.All(diff.Splits.Values, split => Assert.Equal(0, split.Moved));
        Assert.Equal(
            Enumerable.Range(100, 20).Select(i => $"added a{i}").Concat(Enumerable.Range(0, 10).Select(i => $"removed a{i}")).Order(StringComparer.Ordinal),
            diff.Rows.Select(row => $"{row.GetProperty("change").GetString()} {row.GetProperty("messages")[1].GetProperty("content").GetString()}").Order(StringComparer.Ordinal));
        var page = await Datasets.DiffAsync(Name, "1", "2", limit: 25, cancellationToken: Cancel);
        var rest = await Datasets.DiffAsync(Name, "1", "2", limit: 25, cursor: page.Next, cancellationToken: Cancel);
        Assert.Equal((25, 5, true), (page.Rows.Count, rest.Rows.Count, rest.Next is null));
        var shown = await RunAsync("datasets", "diff", Name, "1", "2");
        Assert.Contains($"{Name} 1 → 2", shown.Out, StringComparison.Ordinal);
        var first = await Assert.ThrowsAsync<ModelOpsException>(() => Datasets.DiffAsync(Name, to: "1", cancellationToken: Cancel));
        Assert.Contains($"{Name}@1 is the first version", first.Message, StringComparison.Ordinal);
        var history = await Datasets.HistoryAsync(Name, Cancel);
        Assert.Equal(["2", "1"], history.Select(entry => entry.Version));
        Assert.Equal(("rows.jsonl", 1), (history[1].FileName, history[1].TableVersions["train"]));
    }

    private static string All(string schema) => string.Join(" UNION ALL ", ((string[])["train", "validation", "test"]).Select(split => $"SELECT * FROM {schema}.{split}"));

    private async Task<long> NumberAsync(string name, string sql, string? version = null) =>
        Assert.Single((await Datasets.QueryAsync(name, new() { Sql = sql, Version = version }, Cancel)).Rows).EnumerateObject().Single().Value.GetInt64();

    private Task<CliRun> RunAsync(params string[] args) => CliRun.Of([.. args, "--home", fixture.Server.Home], cancellationToken: Cancel);
}
