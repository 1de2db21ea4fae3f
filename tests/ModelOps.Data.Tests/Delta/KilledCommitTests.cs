using System.Diagnostics;
using System.Runtime.InteropServices;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>
/// A process that changes a table is killed with SIGKILL at every step of what it does to the store: before, within and after every put of data
/// files, change files, the commit, the checkpoint and its hint, and around every delete of the log's clean-up.
/// </summary>
public sealed class KilledCommitTests : IDisposable
{
    private const int LeastSteps = 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Update_ProcessKilledAtEveryStep_LeavesTheOldOrTheNewVersion()
    {
        (string, string)[] properties =
            [("delta.enableChangeDataFeed", "true"), ("delta.checkpointInterval", "2"), ("delta.logRetentionDuration", "interval 0 seconds")];
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true, properties: properties);
        await table.AppendAsync(new Row(1, "old", "x"), new Row(2, "old", "y"), new Row(10, "old", "x"));
        await table.AppendAsync(new Row(3, "old", "y"));
        await table.AppendAsync(new Row(11, "old", "y"));
        var old = await table.RowsAtAsync(version: null);
        var changed = old.Select(row => row with { Text = row.Id < 10 ? "new" : "old" }).ToList();
        // The clean-up's cut-off is a midnight: only so is there something for it to delete.
        foreach (var file in Directory.GetFiles(tables.Store.LocalPath("t/_delta_log")!)) File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-2));

        var (step, seenOld, seenNew) = (0, 0, 0);
        for (var isKilled = true; isKilled; step++)
        {
            using var copy = new TestTables();
            Copy(tables.Store.LocalPath("t")!, copy.Store.LocalPath("t")!);
            isKilled = await RunAsync(Path.GetDirectoryName(copy.Store.LocalPath("t"))!, step);

            // Whoever comes next, as a new process would.
            var store = new FileObjectStore(Path.GetDirectoryName(copy.Store.LocalPath("t"))!);
            var found = new WrittenTable(copy, (await DeltaTable.OpenAsync(store, "t", cancellationToken: Cancel))!);
            var version = (await found.Table.SnapshotAsync(cancellationToken: Cancel)).Version;
            Assert.InRange(version, 3, 4);
            Assert.Equal(version == 3 ? old : changed, await found.RowsAsync());
            if (version == 3) seenOld++;
            else seenNew++;
            Assert.True(isKilled || version == 4, "a process that was not killed has committed");
            Assert.Equal(version + 1, await found.AppendAsync(new Row(99)));
            Assert.Equal(old.Count + 1, (await found.RowsAsync()).Count);
        }
        Assert.True(step >= LeastSteps && seenOld > 3 && seenNew > 3, $"{step} steps, {seenOld} before the commit and {seenNew} after: the test does not hit what it is for");
    }

    private static async Task<bool> RunAsync(string root, int step)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.ObjectWriter/release/ModelOps.ObjectWriter");
        var start = new ProcessStartInfo(program, ["delta", root, $"{step}"]) { UseShellExecute = false, RedirectStandardError = true };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        using var child = Process.Start(start)!;
        var error = await child.StandardError.ReadToEndAsync(Cancel).WaitAsync(Patience, Cancel);
        await child.WaitForExitAsync(Cancel).WaitAsync(Patience, Cancel);
        Assert.True(child.ExitCode is 0 or 128 + 9, $"step {step}: exit code {child.ExitCode}: {error}");
        return child.ExitCode != 0;
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
            File.SetLastWriteTimeUtc(target, File.GetLastWriteTimeUtc(file));
        }
    }
}
