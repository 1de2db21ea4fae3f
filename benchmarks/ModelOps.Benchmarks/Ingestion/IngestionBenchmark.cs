using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using ModelOps.Storage;
using ModelOps.Tables.Datasets;

namespace ModelOps.Benchmarks.Ingestion;

/// <summary>A JSONL file of conversations into a dataset, beside reading the file and parsing its lines with Utf8JsonReader alone.</summary>
internal static class IngestionBenchmark
{
    private const long DefaultSize = 2_000_000_000;
    private const int Words = 20_000;

    public static Command Create()
    {
        var size = new Option<long>("--size") { Description = "Bytes of the file.", DefaultValueFactory = _ => DefaultSize };
        var near = new Option<string>("--near-duplicates") { Description = "off, report or remove.", DefaultValueFactory = _ => "report" };
        var pii = new Option<string>("--pii") { Description = "off, report or mask.", DefaultValueFactory = _ => "off" };
        var command = new Command("ingest", "A JSONL file into a dataset: throughput and peak memory.") { size, near, pii };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            parsed.GetValue(size), new() { NearDuplicates = parsed.GetValue(near)!, Pii = parsed.GetValue(pii)! }, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(long size, IngestionOptions options, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-ingest-");
        try
        {
            var path = Path.Combine(folder.FullName, "rows.jsonl");
            var rows = await GenerateAsync(path, size, cancellationToken);
            Console.WriteLine($"{rows} rows, {size / 1e6:0} MB, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}");
            var parsing = await TimeAsync("Utf8JsonReader alone", size, () => ParseAsync(path, cancellationToken));
            var ingesting = await TimeAsync(
                $"ingestion, near duplicates {options.NearDuplicates}, pii {options.Pii}", size, () => IngestAsync(path, folder, options, cancellationToken));
            using var self = Process.GetCurrentProcess();
            Console.WriteLine($"{ingesting / parsing:0.0} times as long; peak memory of the process {self.PeakWorkingSet64 / 1e6:0} MB");
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<double> TimeAsync(string what, long size, Func<Task<long>> work)
    {
        var clock = Stopwatch.StartNew();
        var rows = await work();
        Console.WriteLine($"{what}: {rows} rows in {clock.Elapsed.TotalSeconds:0.0} s, {size / 1e6 / clock.Elapsed.TotalSeconds:0} MB/s");
        return clock.Elapsed.TotalSeconds;
    }

    private static async Task<long> IngestAsync(string path, DirectoryInfo folder, IngestionOptions options, CancellationToken cancellationToken)
    {
        await using var source = File.OpenRead(path);
        var request = new IngestionRequest
        {
            Source = source,
            FileName = "rows.jsonl",
            Dataset = "rows",
            Tables = new FileObjectStore(Path.Combine(folder.FullName, "tables")),
            Job = "benchmark",
            Options = options,
        };
        return await DatasetIngestion.RunAsync(request, progress: null, cancellationToken) is IngestionOutcome.Ingested ingested
            ? ingested.Report.Rows.Kept
            : throw new InvalidOperationException("the file was rejected");
    }

    private static async Task<long> ParseAsync(string path, CancellationToken cancellationToken)
    {
        await using var source = File.OpenRead(path);
        var buffer = new byte[1 << 20];
        var (kept, rows) = (0, 0L);
        while (await source.ReadAsync(buffer.AsMemory(kept), cancellationToken) is > 0 and var read)
        {
            var (start, end) = (0, kept + read);
            while (buffer.AsSpan(start..end).IndexOf((byte)'\n') is >= 0 and var length)
            {
                Parse(buffer.AsSpan(start, length));
                start += length + 1;
                rows++;
            }
            buffer.AsSpan(start..end).CopyTo(buffer);
            kept = end - start;
        }
        return rows;
    }

    private static void Parse(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line);
        while (reader.Read())
        {
        }
    }

    private static async Task<long> GenerateAsync(string path, long size, CancellationToken cancellationToken)
    {
        var random = new Random(1);
        await using var file = new StreamWriter(path, append: false, new UTF8Encoding(false), 1 << 20);
        var (rows, written) = (0L, 0L);
        for (; written < size; rows++)
        {
            var line = $$"""{"messages":[{"role":"user","content":"{{Text(random, 40)}}"},{"role":"assistant","content":"{{Text(random, 100)}}"}]}""";
            await file.WriteLineAsync(line.AsMemory(), cancellationToken);
            written += line.Length + 1;
        }
        return rows;
    }

    private static string Text(Random random, int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => $"word{random.Next(Words)}"));
}
