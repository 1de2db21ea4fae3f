using System.CommandLine;
using System.Globalization;
using Spectre.Console;

namespace ModelOps.Benchmarks.Storage;

/// <summary>Put and get of one large object and of many small ones, each beside a plain copy of the same files in the same run.</summary>
internal static class StorageCommand
{
    private const long DefaultSize = 1 << 30;
    private const int DefaultCount = 10_000;
    private const int DefaultRounds = 3;
    private const int SmallSize = 4096;

    public static Command Create()
    {
        var size = new Option<long>("--size") { Description = "Bytes of the large object", DefaultValueFactory = _ => DefaultSize };
        var count = new Option<int>("--count") { Description = "Number of objects of 4 KiB", DefaultValueFactory = _ => DefaultCount };
        var rounds = new Option<int>("--rounds") { Description = "Runs, of which the median counts", DefaultValueFactory = _ => DefaultRounds };
        var folder = new Option<DirectoryInfo>("--folder")
        {
            Description = "Where to work: the disk to be measured",
            DefaultValueFactory = _ => new DirectoryInfo(Path.GetTempPath()),
        };
        var command = new Command("storage", "Object stores against a plain file copy.") { size, count, rounds, folder };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            using var work = new WorkFolder(arguments.GetRequiredValue(folder));
            var repeats = arguments.GetRequiredValue(rounds);
            var large = await Workload.CreateAsync(work, "large", 1, arguments.GetRequiredValue(size), cancellationToken);
            Print(large, await MeasureAsync(large, work, repeats, cancellationToken));
            var small = await Workload.CreateAsync(work, "small", arguments.GetRequiredValue(count), SmallSize, cancellationToken);
            Print(small, await MeasureAsync(small, work, repeats, cancellationToken));
        });
        return command;
    }

    /// <summary>Every way once per round, so that what else the machine does hits all alike.</summary>
    private static async Task<IReadOnlyList<Measurement>> MeasureAsync(Workload workload, WorkFolder work, int rounds, CancellationToken cancellationToken)
    {
        var measurements = Transfer.All.Select(transfer => new Measurement(transfer)).ToList();
        for (var round = 0; round < rounds; round++)
            foreach (var measurement in measurements)
            {
                using var place = new WorkFolder(work.Folder);
                var (put, get) = await measurement.Transfer.RunAsync(workload, place, cancellationToken);
                measurement.Puts.Add(put);
                measurement.Gets.Add(get);
            }
        return measurements;
    }

    private static void Print(Workload workload, IReadOnlyList<Measurement> measurements)
    {
        var table = new Table().Title($"{workload.Files.Count:N0} × {workload.Size:N0} bytes").AddColumns("", "put s", "MB/s", "ratio", "get s", "MB/s", "ratio");
        foreach (var column in table.Columns.Skip(1)) column.RightAligned();
        foreach (var (transfer, put, get) in measurements)
        {
            var against = measurements.Single(other => other.Transfer == transfer.Against);
            string[] cells = [$"{put:0.000}", Speed(workload, put), $"{put / against.Put:0.00}", $"{get:0.000}", Speed(workload, get), $"{get / against.Get:0.00}"];
            table.AddRow([$"{transfer.Name} (against {transfer.Against.Name})", .. cells]);
        }
        AnsiConsole.Write(table);
    }

    private static string Speed(Workload workload, double seconds) =>
        (workload.Size * workload.Files.Count / seconds / 1e6).ToString("N0", CultureInfo.InvariantCulture);
}

/// <summary>Seconds of each run of one way.</summary>
internal sealed record Measurement(Transfer Transfer)
{
    public List<double> Puts { get; } = [];
    public List<double> Gets { get; } = [];
    public double Put => Median(Puts);
    public double Get => Median(Gets);

    public void Deconstruct(out Transfer transfer, out double put, out double get) => (transfer, put, get) = (Transfer, Put, Get);

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }
}
