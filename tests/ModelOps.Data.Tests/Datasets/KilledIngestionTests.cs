using System.IO.Compression;
using System.Text.Json;
using ModelOps.Storage;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

/// <summary>
/// A process that ingests a file is killed with SIGKILL: while it reads, between the commits of two tables, after the last one. Run again for the same
/// job, the ingestion ends as one that nothing disturbed.
/// </summary>
public sealed class KilledIngestionTests : IDisposable
{
    private const string Job = "job-1";
    private const int Kills = 5;
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-killed-");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Run_KilledAndRunAgain_EndsAsIfNothingHadHappened(bool isThereAVersion)
    {
        var file = Path.Combine(folder.FullName, "rows.jsonl");
        await File.WriteAllTextAsync(file, $"{TestIngestion.Lines(5000)}{{broken\n", Cancel);
        var undisturbed = await StoreAsync("undisturbed", isThereAVersion);
        var steps = (await IngestionProcess.RunAsync(undisturbed, file, Job, folder.FullName)).GetValueOrDefault();
        var expected = await IngestAsync(undisturbed, file); // the same job again: nothing happens
        var random = new Random(7);
        var (committedAtDeath, before) = (new List<int>(), isThereAVersion ? 1 : 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            var root = await StoreAsync($"killed-{kill}", isThereAVersion);
            var step = kill == Kills - 1 ? steps - 1 : ((kill * steps) + random.Next(steps)) / Kills;
            Assert.Null(await IngestionProcess.RunAsync(root, file, Job, folder.FullName, step));
            committedAtDeath.Add((await CommitsAsync(root)).Count(commits => commits.Value > 0));

            Assert.Equal(expected, await IngestAsync(root, file));
            Assert.Equal(await KeysAsync(undisturbed), await KeysAsync(root)); // no file that an undisturbed ingestion does not leave
            Assert.All(await CommitsAsync(root), commits => Assert.Equal(1, commits.Value));
        }
        Assert.True(
            committedAtDeath is [0, ..] && committedAtDeath.Exists(tables => tables is > 0 and < 4) && committedAtDeath[^1] == 4,
            $"killed after commits of {string.Join(", ", committedAtDeath)} tables: the test does not hit what it is for");
        Assert.Contains($"\"train\":{before + 1}", expected.Versions, StringComparison.Ordinal);
    }

    /// <summary>A worker that was taken for dead and is not: both commit, one of them a moment later.</summary>
    [Fact]
    public async Task Run_TwiceAtOnceForOneJob_CommitsEachTableOnce()
    {
        var file = Path.Combine(folder.FullName, "rows.jsonl");
        await File.WriteAllTextAsync(file, TestIngestion.Lines(500), Cancel);
        var root = await StoreAsync("both", isThereAVersion: true);
        var both = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => IngestAsync(root, file), Cancel)));
        Assert.All(both, one => Assert.Equal(both[0], one));
        Assert.All(await CommitsAsync(root), commits => Assert.Equal(1, commits.Value));
    }

    /// <summary>A row of 400 MB, of which the file has 400 kB, in a heap of 200 MB.</summary>
    [Fact]
    public async Task Run_RowLargerThanTheMemory_IsABadRow()
    {
        const int Pieces = 400;
        const long Heap = 200 << 20;
        var file = Path.Combine(folder.FullName, "rows.jsonl.gz");
        await using (var packed = new GZipStream(File.Create(file), CompressionLevel.Fastest))
        {
            var piece = Enumerable.Repeat((byte)'x', 1 << 20).ToArray();
            await packed.WriteAsync(TestIngestion.Utf8($"{TestIngestion.Lines(50)}{{\"prompt\":\""), Cancel);
            for (var i = 0; i < Pieces; i++) await packed.WriteAsync(piece, Cancel);
            await packed.WriteAsync(TestIngestion.Utf8($"\"}}\n{TestIngestion.Lines(50, first: 50)}"), Cancel);
        }
        var root = await StoreAsync("huge", isThereAVersion: false);
        Assert.NotNull(await IngestionProcess.RunAsync(root, file, Job, folder.FullName, heap: Heap));
        var quarantine = (await DeltaTable.OpenAsync(new FileObjectStore(root), "datasets/d/quarantine", cancellationToken: Cancel))!;
        var bad = await quarantine.ReadAsync(await quarantine.SnapshotAsync(cancellationToken: Cancel), Cancel).SingleAsync(Cancel);
        Assert.Equal("longer than 32 MiB", ((Apache.Arrow.StringArray)bad.Column("reason")).GetString(0));
        bad.Dispose();
    }

    private async Task<string> StoreAsync(string name, bool isThereAVersion)
    {
        var root = Directory.CreateDirectory(Path.Combine(folder.FullName, name)).FullName;
        if (isThereAVersion) await IngestAsync(root, TestIngestion.Utf8(TestIngestion.Lines(60, first: 100_000)), job: "job-0");
        return root;
    }

    private static async Task<(string Versions, string Rows, string Report)> IngestAsync(string root, string file) =>
        await IngestAsync(root, await File.ReadAllBytesAsync(file, Cancel), Job);

    private static async Task<(string Versions, string Rows, string Report)> IngestAsync(string root, byte[] content, string job)
    {
        var store = new FileObjectStore(root);
        using var source = new MemoryStream(content);
        var request = new IngestionRequest { Source = source, FileName = "rows.jsonl", Dataset = "d", Tables = store, Job = job };
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(await DatasetIngestion.RunAsync(request, progress: null, Cancel));
        var rows = new List<string>();
        foreach (var (split, version) in ingested.TableVersions.Where(table => table.Key != "quarantine"))
            await foreach (var row in DatasetReader.ReadAsync(store, "d", split, version, Cancel)) rows.Add($"{split} {row.SourceLine} {row.Id}");
        return (
            JsonSerializer.Serialize(ingested.TableVersions), string.Join('\n', rows),
            JsonSerializer.Serialize(ingested.Report, IngestionJson.Default.IngestionReport));
    }

    /// <returns>How many versions of each table are the job's.</returns>
    private static async Task<Dictionary<string, int>> CommitsAsync(string root)
    {
        var store = new FileObjectStore(root);
        var commits = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var name in (string[])["train", "validation", "test", "quarantine"])
            commits[name] = await DeltaTable.OpenAsync(store, $"datasets/d/{name}", cancellationToken: Cancel) is { } table
                ? await table.HistoryAsync(Cancel).CountAsync(commit => commit.Job == Job, Cancel)
                : 0;
        return commits;
    }

    private static async Task<List<string>> KeysAsync(string root) => await new FileObjectStore(root).ListAsync("", cancellationToken: Cancel)
        .Select(item => item.Key).ToListAsync(Cancel);
}
