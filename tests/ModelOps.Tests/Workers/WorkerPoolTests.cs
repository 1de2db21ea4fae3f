using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Client;
using ModelOps.Server.Workers;
using ModelOps.Storage;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Gateway;
using ModelOps.Workflows;

namespace ModelOps.Tests.Workers;

/// <summary>The processes of a role, real ones: a shell that says what a worker says stands for the heavy program.</summary>
public sealed class WorkerPoolTests : IAsyncLifetime
{
    private const string Good = "echo ready $$; read word"; // goes when it is told to, or the server is gone
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");
    private readonly ManualTime time = new(new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly WorkersOptions options = new() { Training = new() { Max = 2, Threads = 3 } };
    private WorkerPool pool = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private WorkerProgram Program => new(Path.Combine(folder.FullName, "worker"));

    public ValueTask InitializeAsync()
    {
        Write(Good);
        pool = new WorkerPool(
            new WorkerLaunch(WorkerRole.Training, 1, folder.FullName, options.ThreadsOf(WorkerRole.Training, 8), new ObjectStoreOptions()),
            options,
            (launch, cancellationToken) => WorkerProcess.StartAsync(launch, Program, NullLoggerFactory.Instance, TimeProvider.System, cancellationToken),
            (_, _, _) => Task.CompletedTask,
            time,
            NullLogger.Instance);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await pool.StopAsync();
        pool.Dispose();
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Lease_OfEachWhoAsks_IsAProcessOfItsOwnUpToMax()
    {
        using var first = await LeaseAsync();
        var second = await LeaseAsync();
        Assert.NotEqual(first.Process.Id, second.Process.Id);
        Assert.Equal([3, 3], pool.List().Select(worker => worker.Threads));

        var third = LeaseAsync();
        pool.Adjust(backlog: 5);
        Assert.Equal(2, pool.List().Count);
        Assert.False(third.IsCompleted);
        second.Dispose();
        using var freed = await third;
        Assert.Equal(second.Process.Id, freed.Process.Id);
    }

    [Fact]
    public async Task Adjust_NothingToDoForLong_StopsAll()
    {
        (await LeaseAsync()).Dispose();
        pool.Adjust(0);
        time.Advance(options.IdleStop - TimeSpan.FromSeconds(1));
        pool.Adjust(0);
        Assert.Equal(WorkerState.Ready, Assert.Single(pool.List()).State);
        time.Advance(TimeSpan.FromSeconds(1));
        pool.Adjust(0);
        await Eventually.HoldsAsync(() => pool.List().Count == 0, Cancel);
        Assert.Empty(Live());
    }

    [Fact]
    public async Task Adjust_TaskTakenJustAsItIsToLeave_IsFinishedFirst()
    {
        var finish = Path.Combine(folder.FullName, "finish");
        Write($"mkfifo {finish} 2>&-; echo ready $$; read word; echo tasks 1; read line < {finish}; echo tasks 0");
        pool.Adjust(backlog: 1);
        await Eventually.HoldsAsync(() => pool.List() is [{ State: WorkerState.Ready }], Cancel);
        time.Advance(options.IdleStop);
        pool.Adjust(0);
        await Eventually.HoldsAsync(() => pool.List() is [{ State: WorkerState.Stopping, Tasks: 1 }], Cancel);
        var leaving = pool.List()[0].ProcessId;

        // It counts as one of the two that there may be.
        pool.Adjust(backlog: 5);
        pool.Adjust(backlog: 5);
        Assert.Equal(2, pool.List().Count);

        await File.WriteAllTextAsync(finish, "\n", Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        await Eventually.HoldsAsync(() => pool.List() is [{ Restarts: 0 } other] && other.ProcessId != leaving, Cancel);
    }

    [Fact]
    public async Task Tasks_ThatTheProcessTellsOf_KeepItAlive()
    {
        Write("echo ready $$; echo tasks 2; exec cat");
        pool.Adjust(backlog: 1);
        await Eventually.HoldsAsync(() => pool.List() is [{ Tasks: 2 }], Cancel);
        time.Advance(options.IdleStop);
        pool.Adjust(0);
        pool.Adjust(0);
        Assert.Equal(WorkerState.Ready, Assert.Single(pool.List()).State);
    }

    [Fact]
    public async Task Death_UnderALease_IsToldAndStartedAgainAfterThePause()
    {
        var lease = await LeaseAsync();
        using (var process = Process.GetProcessById(lease.Process.Id)) process.Kill();
        await lease.Process.Exited.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.StartsWith("was ended by SIGKILL (signal 9)", lease.Process.HowItEnded, StringComparison.Ordinal);
        lease.Dispose();
        await Eventually.HoldsAsync(() => pool.List().Count == 0, Cancel);

        var next = LeaseAsync();
        pool.Adjust(0);
        var waiting = Assert.Single(pool.List());
        Assert.Equal((WorkerState.Waiting, 1, (int?)null), (waiting.State, waiting.Restarts, waiting.ProcessId));
        Assert.Contains("SIGKILL", waiting.Error, StringComparison.Ordinal);
        time.Advance(options.FirstPause);
        pool.Adjust(0);
        using var again = await next;
        Assert.NotEqual(lease.Process.Id, again.Process.Id);
    }

    [Fact]
    public async Task Lease_OfAProgramThatFails_SaysItsLastWords()
    {
        Write("echo 'libtorch is not there' >&2; exit 3");
        var failed = await Assert.ThrowsAsync<WorkerStartException>(LeaseAsync);
        Assert.Equal("the training worker exited with code 3; its last words: libtorch is not there; it was not ready yet", failed.Message);

        Write(Good);
        time.Advance(options.FirstPause);
        using var lease = await LeaseAsync();
    }

    [Fact]
    public async Task Stop_OfAProcessThatWillNot_KillsIt()
    {
        Write("trap '' TERM; echo ready $$; while true; do sleep 1000; done");
        using var lease = await LeaseAsync();
        var clock = Stopwatch.StartNew();
        await pool.StopAsync();
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
        Assert.Empty(Live());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(LeaseAsync);
    }

    private Task<WorkerLease> LeaseAsync() => pool.LeaseAsync(() => pool.Adjust(0), Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);

    private void Write(string script)
    {
        File.WriteAllText(Program.Path, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(Program.Path, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite);
    }

    /// <summary>Processes whose command line names this test's folder.</summary>
    private List<string> Live() =>
        [.. Directory.EnumerateDirectories("/proc").Where(process => int.TryParse(Path.GetFileName(process), out _) && TestServer.CommandLine(process).Contains(folder.FullName, StringComparison.Ordinal))];
}
