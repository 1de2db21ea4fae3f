using System.Text;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

/// <summary>A store in a folder that goes away, and files put into it as the dataset "d".</summary>
public sealed class TestIngestion : IDisposable
{
    public const string Chat = """{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}""";

    public static CancellationToken Cancel => TestTables.Cancel;

    public TestTables Tables { get; } = new();

    public static string Pair(int number) => $$"""{"prompt":"q{{number}}","completion":"a{{number}}"}""";

    public static string Lines(int count, int first = 0) => string.Concat(Enumerable.Range(first + 1, count).Select(number => Pair(number) + "\n"));

    public static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    public IngestionRequest Request(byte[] content, IngestionOptions? options = null, string fileName = "rows.jsonl") => new()
    {
        Source = new MemoryStream(content),
        SourceLength = content.Length,
        FileName = fileName,
        Dataset = "d",
        Tables = Tables.Store,
        Options = options ?? new(),
    };

    public Task<IngestionOutcome> RunAsync(byte[] content, IngestionOptions? options = null, string fileName = "rows.jsonl") =>
        DatasetIngestion.RunAsync(Request(content, options, fileName), progress: null, Cancel);

    public Task<IngestionOutcome.Ingested> IngestAsync(string content, IngestionOptions? options = null, string fileName = "rows.jsonl") =>
        IngestAsync(Utf8(content), options, fileName);

    public async Task<IngestionOutcome.Ingested> IngestAsync(byte[] content, IngestionOptions? options = null, string fileName = "rows.jsonl")
    {
        var outcome = await RunAsync(content, options, fileName);
        Assert.True(outcome is IngestionOutcome.Ingested, outcome is IngestionOutcome.Rejected rejected ? string.Join('\n', rejected.Errors) : "");
        return (IngestionOutcome.Ingested)outcome;
    }

    public Task AssertRejectedAsync(string content, params string[] expected) => AssertRejectedAsync(Utf8(content), "rows.jsonl", expected);

    /// <summary>The errors have all these words, and nothing is in the store.</summary>
    public async Task AssertRejectedAsync(byte[] content, string fileName, params string[] expected)
    {
        var rejected = Assert.IsType<IngestionOutcome.Rejected>(await RunAsync(content, fileName: fileName));
        var text = string.Join('\n', rejected.Errors);
        Assert.All(expected, part => Assert.Contains(part, text, StringComparison.OrdinalIgnoreCase));
        Assert.Empty(await Tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    /// <summary>Of all splits, in the order of their lines.</summary>
    public async Task<List<DatasetExample>> RowsAsync(IngestionOutcome.Ingested ingested)
    {
        var rows = new List<DatasetExample>();
        foreach (var split in ingested.Report.Splits.Keys)
            rows.AddRange(await DatasetReader.ReadAsync(Tables.Store, "d", split, ingested.TableVersions[split], Cancel).ToListAsync(Cancel));
        return [.. rows.OrderBy(row => row.SourceLine)];
    }

    public async Task<Dictionary<string, string>> SplitsByIdAsync(IngestionOutcome.Ingested ingested)
    {
        var splits = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var split in ingested.Report.Splits.Keys)
            await foreach (var row in DatasetReader.ReadAsync(Tables.Store, "d", split, ingested.TableVersions[split], Cancel))
                splits.Add(row.Id, split);
        return splits;
    }

    /// <returns>Line, reason and raw text.</returns>
    public async Task<List<(long Line, string Reason, string Raw)>> QuarantineAsync(IngestionOutcome.Ingested ingested)
    {
        var table = (await DeltaTable.OpenAsync(Tables.Store, "datasets/d/quarantine", cancellationToken: Cancel))!;
        var snapshot = await table.SnapshotAsync(ingested.TableVersions["quarantine"], Cancel);
        var rows = new List<(long, string, string)>();
        await foreach (var batch in table.ReadAsync(snapshot, Cancel))
            using (batch)
                for (var i = 0; i < batch.Length; i++)
                    rows.Add((
                        ((Apache.Arrow.Int64Array)batch.Column("source_line")).GetValue(i)!.Value,
                        ((Apache.Arrow.StringArray)batch.Column("reason")).GetString(i),
                        ((Apache.Arrow.StringArray)batch.Column("raw")).GetString(i)));
        return rows;
    }

    public void Dispose() => Tables.Dispose();
}
