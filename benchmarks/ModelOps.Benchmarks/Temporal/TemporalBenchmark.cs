using System.CommandLine;
using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Temporal;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Worker;

namespace ModelOps.Benchmarks.Temporal;

/// <summary>The embedded Temporal service with the SDK's client and worker in the same process, beside what the disk does: fsyncs.</summary>
internal static class TemporalBenchmark
{
    private const int Concurrency = 50;
    private const string Queue = "benchmark";
    private const int EventsPerTimer = 5;

    public static Command Create()
    {
        var workflows = new Option<int>("--workflows") { Description = "One-activity workflows, 50 at a time.", DefaultValueFactory = _ => 3000 };
        var runs = new Option<int>("--runs") { Description = "Open runs that a start takes up again.", DefaultValueFactory = _ => 10_000 };
        var memory = new Option<int>("--memory") { Description = "Workflows after which the memory is compared with that after a tenth of them.", DefaultValueFactory = _ => 20_000 };
        var events = new Option<int>("--events") { Description = "Events of one long history.", DefaultValueFactory = _ => 10_000 };
        var folder = new Option<DirectoryInfo>("--folder") { Description = "Where the databases go.", DefaultValueFactory = _ => new(Path.GetTempPath()) };
        var command = new Command("temporal", "The embedded Temporal service: throughput, latency, recovery, memory, a long history.") { workflows, runs, memory, events, folder };
        command.SetAction((parsed, cancel) => RunAsync(
            parsed.GetRequiredValue(workflows), parsed.GetRequiredValue(runs), parsed.GetRequiredValue(memory), parsed.GetRequiredValue(events), parsed.GetRequiredValue(folder), cancel));
        return command;
    }

    private static async Task<int> RunAsync(int workflows, int runs, int memory, int events, DirectoryInfo parent, CancellationToken cancel)
    {
        Console.WriteLine($"{Environment.ProcessorCount} CPUs, {Environment.OSVersion}, .NET {Environment.Version}");
        var folder = Directory.CreateDirectory(Path.Combine(parent.FullName, $"modelops-temporal-{Guid.NewGuid():N}"));
        try
        {
            var fsyncs = FsyncsPerSecond(folder.FullName);
            Console.WriteLine($"disk: {fsyncs:F0} fsyncs of 4 KiB appends a second");
            await ThroughputAsync(Path.Combine(folder.FullName, "throughput.db"), workflows, fsyncs, cancel);
            await RecoveryAsync(Path.Combine(folder.FullName, "recovery.db"), runs, cancel);
            await LongHistoryAsync(Path.Combine(folder.FullName, "history.db"), events, cancel);
            await MemoryAsync(Path.Combine(folder.FullName, "memory.db"), memory, cancel);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        return 0;
    }

    private static double FsyncsPerSecond(string folder)
    {
        var block = new byte[4096];
        using var file = File.OpenHandle(Path.Combine(folder, "fsync"), FileMode.Create, FileAccess.Write);
        var clock = Stopwatch.StartNew();
        var count = 0;
        for (; clock.Elapsed < TimeSpan.FromSeconds(2); count++)
        {
            RandomAccess.Write(file, block, (long)count * block.Length);
            RandomAccess.FlushToDisk(file);
        }
        return count / clock.Elapsed.TotalSeconds;
    }

    private static async Task ThroughputAsync(string database, int workflows, double fsyncs, CancellationToken cancel)
    {
        await using var server = await StartAsync(database, cancel);
        await WithWorkerAsync(server, cancel, async client =>
        {
            await ManyAsync(200, number => client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync(number), Options())); // compiles, fills caches
            var latencies = new List<double>();
            for (var i = 0; i < 300; i++)
            {
                var start = Stopwatch.GetTimestamp();
                await client.ExecuteWorkflowAsync((Empty w) => w.RunAsync(), Options());
                latencies.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            latencies.Sort();
            Console.WriteLine($"empty workflow, one at a time: p50 {latencies[latencies.Count / 2]:F1} ms, p95 {latencies[latencies.Count * 95 / 100]:F1} ms ({Target(latencies[latencies.Count / 2] <= 10)}: p50 of 10 ms)");
            var clock = Stopwatch.StartNew();
            var cpu = Process.GetCurrentProcess().TotalProcessorTime;
            await ManyAsync(workflows, number => client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync(number), Options()));
            var rate = workflows / clock.Elapsed.TotalSeconds;
            var used = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalMilliseconds / workflows;
            Console.WriteLine($"one-activity workflows, {Concurrency} at a time: {rate:F0}/s ({Target(rate >= 150)}: 150/s), {rate / fsyncs:F2} a fsync of the disk, {used:F1} ms of CPU each, worker and client included");
        });
    }

    private static async Task RecoveryAsync(string database, int runs, CancellationToken cancel)
    {
        await using (var server = await StartAsync(database, cancel))
        {
            await WithWorkerAsync(server, cancel, async client =>
            {
                await ManyAsync(runs, _ => client.StartWorkflowAsync((Waiting w) => w.RunAsync(), Options()));
                using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
                while ((await BacklogAsync(client)) > 0) await tick.WaitForNextTickAsync(cancel);
            });
        }
        var clock = Stopwatch.StartNew();
        await using var again = await StartAsync(database, cancel);
        var seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine($"recovery of {runs} open runs: {seconds:F2} s, {new FileInfo(database).Length >> 20} MB ({Target(seconds <= 3)}: 3 s for 10000)");
    }

    private static async Task<long> BacklogAsync(TemporalClient client) => (await client.WorkflowService.DescribeTaskQueueAsync(new()
    {
        Namespace = "default",
        TaskQueue = new() { Name = Queue },
        TaskQueueType = TaskQueueType.Workflow,
        ReportStats = true,
    })).Stats.ApproximateBacklogCount;

    private static async Task LongHistoryAsync(string database, int events, CancellationToken cancel)
    {
        await using var server = await StartAsync(database, cancel);
        WorkflowHandle? handle = null;
        await WithWorkerAsync(server, cancel, async client =>
        {
            var clock = Stopwatch.StartNew();
            handle = await client.StartWorkflowAsync((Timers w) => w.RunAsync(events / EventsPerTimer), Options());
            await handle.GetResultAsync();
            Console.WriteLine($"history of {events} events: {clock.Elapsed.TotalMilliseconds / (events / EventsPerTimer):F1} ms a timer of 1 ms");
            clock.Restart();
            var history = await handle.FetchHistoryAsync();
            Console.WriteLine($"history of {history.Events.Count} events: read in {clock.Elapsed.TotalMilliseconds:F0} ms");
        });
    }

    /// <summary>Of the whole process, so that the worker's and the client's memory is in it too; the worker's cache is full before the first measurement.</summary>
    private static async Task MemoryAsync(string database, int workflows, CancellationToken cancel)
    {
        await using var server = await StartAsync(database, cancel);
        await WithWorkerAsync(server, cancel, async client =>
        {
            await ManyAsync(workflows / 10, number => client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync(number), Options()));
            var (heap, resident) = Measure();
            await ManyAsync(workflows - (workflows / 10), number => client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync(number), Options()));
            var (heapAfter, residentAfter) = Measure();
            Console.WriteLine($"memory after {workflows / 10} and after {workflows} workflows: heap {heap:F0} and {heapAfter:F0} MB ({heapAfter - heap:+0.0;-0.0} MB), resident {resident:F0} and {residentAfter:F0} MB");
        });

        static (double Heap, double Resident) Measure()
        {
            var heap = GC.GetTotalMemory(forceFullCollection: true);
            using var process = Process.GetCurrentProcess();
            return (heap / 1e6, process.WorkingSet64 / 1e6);
        }
    }

    private static Task<TemporalServer> StartAsync(string database, CancellationToken cancel) =>
        TemporalServer.StartAsync(new() { DatabasePath = database }, NullLoggerFactory.Instance, cancel);

    private static async Task WithWorkerAsync(TemporalServer server, CancellationToken cancel, Func<TemporalClient, Task> run)
    {
        var client = await TemporalClient.ConnectAsync(new(server.Address));
        var options = new TemporalWorkerOptions(Queue) { MaxCachedWorkflows = 500 }
            .AddWorkflow<Empty>().AddWorkflow<OneActivity>().AddWorkflow<Waiting>().AddWorkflow<Timers>().AddActivity(OneActivity.Add);
        using var worker = new TemporalWorker(client, options);
        await worker.ExecuteAsync(() => run(client), cancel);
    }

    private static async Task ManyAsync(int count, Func<int, Task> call)
    {
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, Math.Min(count, Concurrency)).Select(async _ =>
        {
            for (var number = Interlocked.Increment(ref next); number <= count; number = Interlocked.Increment(ref next)) await call(number);
        }));
    }

    private static WorkflowOptions Options() => new($"benchmark-{Guid.NewGuid():N}", Queue);

    private static string Target(bool met) => met ? "within the aim" : "MISSES THE AIM";
}
