using System.CommandLine;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;
using ModelOps.Tables.Delta;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Benchmarks.Delta;

/// <summary>Delta tables beside ParquetSharp alone on the same rows, and what a log costs: snapshots, commits, skipping.</summary>
[SuppressMessage("Reliability", "CA2000", Justification = "batches own their arrays, slices share those of a batch")]
internal static class DeltaBenchmark
{
    private const int BatchRows = 10_000;
    private const int DistinctBatches = 10;
    private const long RowGroupBytes = 64L << 20;
    private static readonly StructType Message = new([new Field("role", StringType.Default, nullable: false), new Field("content", StringType.Default, nullable: true)]);
    private static readonly ListType Messages = new(new Field("element", Message, nullable: false));

    private static readonly Schema Schema = new(
        [new Field("id", Int64Type.Default, nullable: false), new Field("text", StringType.Default, nullable: false), new Field("messages", Messages, nullable: false)],
        metadata: null);

    public static Command Create()
    {
        var rows = new Option<int>("--rows") { Description = "Rows of the table.", DefaultValueFactory = _ => 1_000_000 };
        var commits = new Option<int>("--commits") { Description = "Commits of the long log.", DefaultValueFactory = _ => 10_000 };
        var rounds = new Option<int>("--rounds") { Description = "Rounds; the median counts.", DefaultValueFactory = _ => 3 };
        var command = new Command("delta", "Delta tables beside ParquetSharp alone, and what their log costs.") { rows, commits, rounds };
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(parsed.GetValue(rows), parsed.GetValue(commits), parsed.GetValue(rounds), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(int rows, int commits, int rounds, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-delta-");
        try
        {
            Console.WriteLine($"{rows} rows, {commits} commits, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}");
            var store = new FileObjectStore(folder.FullName);
            await AppendAndScanAsync(store, folder.FullName, rows, rounds, cancellationToken);
            await SnapshotsAsync(store, folder.FullName, commits, cancellationToken);
            await CommitsAsync(store, cancellationToken);
            await SkippingAsync(store, cancellationToken);
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task AppendAndScanAsync(FileObjectStore store, string folder, int rows, int rounds, CancellationToken cancellationToken)
    {
        var batches = Enumerable.Range(0, DistinctBatches).Select(Batch).ToList();
        var (write, append, read, scan) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            var file = Path.Combine(folder, $"alone-{round}.parquet");
            write.Add(await TimeAsync(() => Task.FromResult(Write(file, batches, rows))));
            var table = await DeltaTable.CreateAsync(store, $"rows-{round}", Schema, cancellationToken: cancellationToken);
            append.Add(await TimeAsync(() => AppendAsync(table!, batches, rows, cancellationToken)));
            read.Add(await TimeAsync(() => ReadAsync(file, cancellationToken)));
            scan.Add(await TimeAsync(() => ScanAsync(table!, cancellationToken)));
        }
        Console.WriteLine($"write: ParquetSharp alone {Median(write):0.00} s, Delta append {Median(append):0.00} s, {Median(write) / Median(append):0.00} of its speed");
        Console.WriteLine($"read: ParquetSharp alone {Median(read):0.00} s, Delta scan {Median(scan):0.00} s, {Median(read) / Median(scan):0.00} of its speed");
    }

    private static long Write(string file, List<RecordBatch> batches, int rows)
    {
        using var builder = new WriterPropertiesBuilder();
        using var properties = builder.Compression(Compression.Zstd).Build();
        using var writer = new FileWriter(file, Schema, properties);
        var (written, bytes) = (0L, 0L);
        for (; written < rows; written += BatchRows)
        {
            var batch = batches[(int)(written / BatchRows % DistinctBatches)];
            var size = batch.Arrays.Sum(array => SizeOf(array.Data));
            if (bytes > 0 && bytes + size > RowGroupBytes)
            {
                writer.NewBufferedRowGroup();
                bytes = 0;
            }
            writer.WriteBufferedRecordBatch(batch);
            bytes += size;
        }
        writer.Close();
        return written;
    }

    private static async Task<long> AppendAsync(DeltaTable table, List<RecordBatch> batches, int rows, CancellationToken cancellationToken)
    {
        using var staged = new StagedRows(Schema);
        while (staged.Rows < rows) staged.Write(batches[(int)(staged.Rows / BatchRows % DistinctBatches)]);
        await table.AppendAsync(staged, cancellationToken: cancellationToken);
        return staged.Rows;
    }

    private static async Task<long> ReadAsync(string file, CancellationToken cancellationToken)
    {
        using var reader = new FileReader(file);
        using var batches = reader.GetRecordBatchReader();
        var rows = 0L;
        while (await batches.ReadNextRecordBatchAsync(cancellationToken) is { } batch)
            using (batch) rows += batch.Length;
        return rows;
    }

    private static async Task<long> ScanAsync(DeltaTable table, CancellationToken cancellationToken)
    {
        var rows = 0L;
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(cancellationToken: cancellationToken), cancellationToken))
            using (batch) rows += batch.Length;
        return rows;
    }

    private static async Task SnapshotsAsync(FileObjectStore store, string folder, int commits, CancellationToken cancellationToken)
    {
        var table = (await DeltaTable.CreateAsync(store, "long", Schema, cancellationToken: cancellationToken))!;
        for (var version = 1; version <= commits; version++)
        {
            var line = $$$"""
                {"commitInfo":{"timestamp":{{{version}}},"operation":"WRITE","isBlindAppend":true}}
                {"add":{"path":"part-{{{version:D5}}}.parquet","partitionValues":{},"size":1000,"modificationTime":{{{version}}},"dataChange":true,"stats":"{\"numRecords\":1,\"minValues\":{\"id\":{{{version}}}},\"maxValues\":{\"id\":{{{version}}}},\"nullCount\":{\"id\":0}}"}}
                """;
            await File.WriteAllTextAsync(Path.Combine(folder, "long", "_delta_log", $"{version:D20}.json"), line, cancellationToken);
        }
        var without = await SnapshotTimeAsync(store, cancellationToken);
        await table.CheckpointAsync(cancellationToken);
        var with = await SnapshotTimeAsync(store, cancellationToken);
        Console.WriteLine($"snapshot of {commits} commits: {without:0.00} s without a checkpoint, {with:0.00} s with one");
    }

    private static async Task<double> SnapshotTimeAsync(FileObjectStore store, CancellationToken cancellationToken)
    {
        var times = new List<double>();
        for (var i = 0; i < 3; i++)
        {
            var table = (await DeltaTable.OpenAsync(store, "long", cancellationToken: cancellationToken))!;
            times.Add(await TimeAsync(async () => (await table.SnapshotAsync(cancellationToken: cancellationToken)).Files.Count));
        }
        return Median(times);
    }

    private static async Task CommitsAsync(FileObjectStore store, CancellationToken cancellationToken)
    {
        var table = (await DeltaTable.CreateAsync(store, "commits", Schema, cancellationToken: cancellationToken))!;
        using var batch = Batch(0).Slice(0, 1);
        var times = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            using var staged = new StagedRows(Schema);
            staged.Write(batch);
            times.Add(await TimeAsync(async () => await table.AppendAsync(staged, cancellationToken: cancellationToken) is CommitOutcome.Committed ? 1 : 0));
        }
        times.Sort();
        Console.WriteLine(
            $"append of one row, its file and its commit: p50 {times[times.Count / 2] * 1000:0.0} ms, p99 {times[times.Count * 99 / 100] * 1000:0.0} ms (one in ten writes a checkpoint)");
    }

    private static async Task SkippingAsync(FileObjectStore store, CancellationToken cancellationToken)
    {
        const int files = 100;
        var table = (await DeltaTable.CreateAsync(store, "skipping", Schema, cancellationToken: cancellationToken))!;
        for (var i = 0; i < files; i++)
        {
            using var staged = new StagedRows(Schema);
            using var batch = Batch(i).Slice(0, 100);
            staged.Write(batch);
            await table.AppendAsync(staged, cancellationToken: cancellationToken);
        }
        var snapshot = await table.SnapshotAsync(cancellationToken: cancellationToken);
        var progress = new ScanProgress();
        var rows = 0;
        var predicate = Predicate.Parse($"id = {(42 * BatchRows) + 7}", snapshot.Schema);
        await foreach (var batch in table.ReadAsync(snapshot, columns: null, predicate, progress, cancellationToken))
            using (batch) rows += batch.Length;
        Console.WriteLine($"skipping: {progress.Files.Count} of {snapshot.Files.Count} files read for {rows} row");
    }

    /// <summary>Rows with ids of their own, a text of about 200 characters, and two messages.</summary>
    private static RecordBatch Batch(int number)
    {
        var random = new Random(number);
        var (ids, texts, roles, contents, ends) =
            (new Int64Array.Builder(), new StringArray.Builder(), new StringArray.Builder(), new StringArray.Builder(), new ArrowBuffer.Builder<int>());
        ends.Append(0);
        for (var row = 0; row < BatchRows; row++)
        {
            ids.Append(((long)number * BatchRows) + row);
            texts.Append(Text(random, 30));
            roles.Append("user").Append("assistant");
            contents.Append(Text(random, 10)).Append(Text(random, 20));
            ends.Append(2 * (row + 1));
        }
        var messages = new StructArray(Message, 2 * BatchRows, [roles.Build(), contents.Build()], ArrowBuffer.Empty);
        return new(Schema, [ids.Build(), texts.Build(), new ListArray(Messages, BatchRows, ends.Build(), messages, ArrowBuffer.Empty)], BatchRows);
    }

    private static string Text(Random random, int words)
    {
        var text = new StringBuilder();
        for (var i = 0; i < words; i++) text.Append(CultureInfo.InvariantCulture, $"w{random.Next(20_000)} ");
        return $"{text}";
    }

    private static long SizeOf(ArrayData data) => data.Buffers.Sum(buffer => (long)buffer.Length) + (data.Children?.Sum(SizeOf) ?? 0);

    private static async Task<double> TimeAsync(Func<Task<long>> work)
    {
        var clock = Stopwatch.StartNew();
        if (await work() <= 0) throw new InvalidOperationException("nothing was done");
        return clock.Elapsed.TotalSeconds;
    }

    private static double Median(List<double> times) => times.Order().ElementAt(times.Count / 2);
}
