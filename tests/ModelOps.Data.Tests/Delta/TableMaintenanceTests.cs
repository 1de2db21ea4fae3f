using System.Diagnostics;
using System.Text.Json;
using ModelOps.Data.Tests.Datasets;
using ModelOps.Data.Tests.Registry;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

public sealed class TableMaintenanceTests : IDisposable
{
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Append_TenCommits_LeaveACheckpointThatStandsForThem()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        for (var i = 1; i <= 8; i++) await table.AppendAsync(new Row(i, $"text {i}", i % 2 == 0 ? "x" : null));
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(100, "app", "x"));
        await table.Table.AppendAsync(rows, new() { Application = new("app", 3) }, Cancel);
        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel);
        for (var i = 11; i <= 13; i++) await table.AppendAsync(new Row(i));
        var whole = await table.Table.SnapshotAsync(cancellationToken: Cancel);
        var expected = await table.RowsAsync();

        using var last = JsonDocument.Parse(await tables.TextAsync("t/_delta_log/_last_checkpoint"));
        Assert.Equal(10, last.RootElement.GetProperty("version").GetInt64());
        Assert.Equal(2 + 1 + 8 + 1, last.RootElement.GetProperty("size").GetInt64()); // protocol, metaData; txn; files; tombstone
        for (var version = 0; version <= 10; version++) await tables.Store.DeleteAsync(TestTables.LogKey(version), Cancel);

        var read = await table.Table.SnapshotAsync(cancellationToken: Cancel);
        Assert.Equal(whole.Files.Select(file => file.Path), read.Files.Select(file => file.Path));
        Assert.Equal(whole.Files.Select(file => file.Stats), read.Files.Select(file => file.Stats));
        Assert.Equal(whole.Files.Select(file => file.PartitionValues["part"]), read.Files.Select(file => file.PartitionValues["part"]));
        Assert.Equal(3, read.Transactions["app"].Version);
        Assert.Equal(whole.Tombstones.Select(file => file.Path), read.Tombstones.Select(file => file.Path));
        Assert.Equal(whole.Metadata.SchemaString, read.Metadata.SchemaString);
        Assert.Equal(whole.PartitionColumns, read.PartitionColumns);
        Assert.Equal(expected, await table.RowsAtAsync(version: null));
    }

    [Fact]
    public async Task Append_CheckpointInterval_IsTheTables()
    {
        var table = await WrittenTable.CreateAsync(tables, properties: ("delta.checkpointInterval", "3"));
        for (var i = 1; i <= 7; i++) await table.AppendAsync(new Row(i));
        Assert.Equal([3L, 6L], await CheckpointsAsync());
        await table.Table.CheckpointAsync(Cancel);
        Assert.Equal([3L, 6L, 7L], await CheckpointsAsync());
    }

    [Fact]
    public async Task Append_CheckpointCannotBeWritten_IsCommittedAndSaysSo()
    {
        var table = await WrittenTable.CreateAsync(tables, properties: ("delta.checkpointInterval", "1"));
        await table.AppendAsync(new Row(1));
        var failing = new RacingStore(tables.Store, $"t/_delta_log/{2:D20}.checkpoint.parquet", () => throw new IOException("no room"));
        var mine = (await DeltaTable.OpenAsync(failing, "t", cancellationToken: Cancel))!;
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(2));
        var committed = Assert.IsType<CommitOutcome.Committed>(await mine.AppendAsync(rows, cancellationToken: Cancel));
        Assert.Equal(2, committed.Version);
        Assert.Contains("no room", committed.Unfinished, StringComparison.Ordinal);
        Assert.Equal(2, (await table.RowsAsync()).Count);
    }

    [Fact]
    public async Task Commit_AnswerOfTheStoreIsLost_IsFoundToBeCommitted()
    {
        var table = await WrittenTable.CreateAsync(tables);
        var forgetful = new ForgetfulStore(tables.Store, TestTables.LogKey(1));
        var mine = (await DeltaTable.OpenAsync(forgetful, "t", cancellationToken: Cancel))!;
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(1));
        Assert.Equal(1, WrittenTable.Version(await mine.AppendAsync(rows, cancellationToken: Cancel)));
        Assert.Equal([new(1)], await table.RowsAsync());
    }

    [Fact]
    public async Task Checkpoint_LogPastItsRetention_EndsAtTheCheckpointBeforeTheCutOff()
    {
        var table = await WrittenTable.CreateAsync(tables, properties: [("delta.checkpointInterval", "4"), ("delta.logRetentionDuration", "interval 2 days")]);
        for (var i = 1; i <= 10; i++) await table.AppendAsync(new Row(i));
        foreach (var name in await LogAsync()) File.SetLastWriteTimeUtc(tables.Store.LocalPath($"t/_delta_log/{name}")!, DateTime.UtcNow.AddDays(-4));
        Assert.Equal(11, (await LogAsync()).Count(name => name.EndsWith(".json", StringComparison.Ordinal)));

        await table.AppendAsync(new Row(11));
        await table.AppendAsync(new Row(12)); // a checkpoint; of the versions that are kept, 10 is the first, and 8 the checkpoint before it

        Assert.Equal(
            [.. Enumerable.Range(8, 5).Select(version => $"{version:D20}.json")], (await LogAsync()).Where(name => name.EndsWith(".json", StringComparison.Ordinal)));
        Assert.Equal([8L, 12L], await CheckpointsAsync());
        Assert.Equal(Enumerable.Range(1, 12).Select(i => (long)i), (await table.RowsAsync()).Select(row => row.Id));
        Assert.Equal(9, (await table.RowsAtAsync(9)).Count);
        await Assert.ThrowsAsync<DeltaException>(() => table.RowsAtAsync(7));
        Assert.Null(await DeltaTable.CreateAsync(tables.Store, "t", WrittenTable.Schema, cancellationToken: Cancel));
    }

    [Fact]
    public async Task Optimize_SmallFiles_AreOneAPartitionWithTheSameRows()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        for (var i = 1; i <= 9; i++) await table.AppendAsync(new Row(i, $"{i}", i % 3 == 0 ? null : $"p{i % 3}"));
        var rows = await table.RowsAsync();

        Assert.Equal(10, WrittenTable.Version(await table.Table.OptimizeAsync("part = 'p1'", cancellationToken: Cancel)));
        Assert.Equal(7, (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files.Count);
        Assert.Equal(11, WrittenTable.Version(await table.Table.OptimizeAsync(cancellationToken: Cancel)));

        Assert.Equal(3, (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files.Count);
        Assert.Equal(rows, await table.RowsAsync());
        Assert.All(await table.CommitAsync(11), line => Assert.False((line.Add?.DataChange ?? line.Remove?.DataChange) == true));
        Assert.Equal(new CommitOutcome.Unchanged(11), await table.Table.OptimizeAsync(cancellationToken: Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => table.Table.OptimizeAsync("id = 1", cancellationToken: Cancel));
    }

    [Fact]
    public async Task Optimize_TargetSize_BoundsTheFiles()
    {
        var table = await WrittenTable.CreateAsync(tables);
        for (var i = 1; i <= 6; i++) await table.AppendAsync(new Row(i, $"{i}"));
        var size = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files[0].Size;
        await table.Table.OptimizeAsync(targetBytes: (2 * size) + (size / 2), cancellationToken: Cancel);
        Assert.Equal(3, (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files.Count);
        Assert.Equal(6, (await table.RowsAsync()).Count);
    }

    [Fact]
    public async Task Optimize_RowsAreAppendedMeanwhile_GoesOnTopOfThem()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1));
        await table.AppendAsync(new Row(2));
        var racing = new RacingStore(tables.Store, TestTables.LogKey(3), () => table.AppendAsync(new Row(3)));
        var mine = (await DeltaTable.OpenAsync(racing, "t", cancellationToken: Cancel))!;
        Assert.Equal(4, WrittenTable.Version(await mine.OptimizeAsync(options: new() { MaxReplans = 0 }, cancellationToken: Cancel)));
        Assert.Equal([new(1), new(2), new(3)], await table.RowsAsync());
    }

    [Fact]
    public async Task Vacuum_AfterTheRetention_DeletesWhatNoRetainedVersionHas()
    {
        var clock = new ManualTime(DateTimeOffset.UtcNow);
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true, clock: clock, properties: ("delta.enableChangeDataFeed", "true"));
        await table.AppendAsync(new Row(1, "a", "x"), new Row(2, "b", "x"));
        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel); // long ago
        await tables.PutAsync("t/part=x/part-uncommitted.parquet", "from a writer that was killed");
        await tables.PutAsync("t/_other/keep", "not the table's");
        await tables.PutAsync("t/.hidden/keep", "not the table's");
        clock.Advance(TimeSpan.FromDays(6));
        await table.AppendAsync(new Row(3, "c", "x"));
        await table.Table.DeleteAsync("id = 3", cancellationToken: Cancel); // two days ago
        foreach (var change in (await table.CommitAsync(4)).Select(line => line.Cdc).OfType<AddChangeFile>())
            File.SetLastWriteTimeUtc(tables.Store.LocalPath($"t/{change.Path}")!, clock.GetUtcNow().UtcDateTime);
        clock.Advance(TimeSpan.FromDays(2));

        var planned = await table.Table.VacuumAsync(new() { IsDryRun = true }, Cancel);
        Assert.Equal(3, planned.Files.Count); // the file of version 1, its change file, and what was never committed
        Assert.Contains("t/part=x/part-uncommitted.parquet", planned.Files);
        Assert.Contains(planned.Files, file => file.StartsWith("t/_change_data/", StringComparison.Ordinal));
        Assert.Equal(3, (await table.RowsAtAsync(1)).Count + (await table.RowsAtAsync(2)).Count);

        var done = await table.Table.VacuumAsync(cancellationToken: Cancel);
        Assert.Equal(planned.Files, done.Files);
        Assert.Equal([new(2, "b", "x")], await table.RowsAsync());
        Assert.Equal([new(2, "b", "x"), new(3, "c", "x")], await table.RowsAtAsync(3));
        await Assert.ThrowsAsync<DeltaException>(() => table.RowsAtAsync(1));
        Assert.NotNull(await tables.Store.HeadAsync("t/_other/keep", Cancel));
        Assert.NotNull(await tables.Store.HeadAsync("t/.hidden/keep", Cancel));
        Assert.Empty((await table.Table.VacuumAsync(cancellationToken: Cancel)).Files);
    }

    [Fact]
    public async Task Vacuum_UnderSevenDays_IsRefusedUnlessForced()
    {
        var clock = new ManualTime(DateTimeOffset.UtcNow);
        var table = await WrittenTable.CreateAsync(tables, clock: clock);
        await table.AppendAsync(new Row(1));
        await table.Table.OverwriteAsync(await WrittenTable.StageAsync(table.Table, new Row(2)), cancellationToken: Cancel);
        clock.Advance(TimeSpan.FromHours(2));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => table.Table.VacuumAsync(new() { Retention = TimeSpan.FromHours(1) }, Cancel));
        Assert.Contains("under 7 days", error.Message, StringComparison.Ordinal);
        Assert.Single((await table.Table.VacuumAsync(new() { Retention = TimeSpan.FromHours(1), IsForced = true }, Cancel)).Files);
        Assert.Equal([new(2)], await table.RowsAsync());
    }

    [Fact]
    public async Task Restore_OlderVersion_HasItsRowsAndColumnsAgain()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"), new Row(2, "b"));
        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel);
        await table.AppendAsync(new Row(3, "c"));
        Assert.Equal(4, WrittenTable.Version(await table.Table.RestoreAsync(1, cancellationToken: Cancel)));
        Assert.Equal([new(1, "a"), new(2, "b")], await table.RowsAsync());
        Assert.Equal(new CommitOutcome.Unchanged(4), await table.Table.RestoreAsync(1, cancellationToken: Cancel));
        await table.Table.RestoreAsync(3, cancellationToken: Cancel);
        Assert.Equal([new(2, "b"), new(3, "c")], await table.RowsAsync());
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.RestoreAsync(99, cancellationToken: Cancel));
    }

    [Fact]
    public async Task Restore_Time_IsTheVersionThatWasCurrentThen()
    {
        var clock = new ManualTime(DateTimeOffset.UtcNow);
        var table = await WrittenTable.CreateAsync(tables, clock: clock, properties: ("delta.enableInCommitTimestamps", "true"));
        await table.AppendAsync(new Row(1, "a"));
        var then = clock.GetUtcNow();
        clock.Advance(TimeSpan.FromHours(1));
        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel);
        await table.AppendAsync(new Row(2, "b"));
        Assert.Equal(4, WrittenTable.Version(await table.Table.RestoreAsync(then.AddMinutes(30), cancellationToken: Cancel)));
        Assert.Equal([new(1, "a")], await table.RowsAsync());
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.RestoreAsync(then.AddDays(-1), cancellationToken: Cancel));
        Assert.Equal(4, (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Version);
    }

    [Fact]
    public async Task Restore_FilesWereVacuumed_NamesThemAndChangesNothing()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"));
        var file = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files[0].Path;
        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel);
        await tables.Store.DeleteAsync($"t/{file}", Cancel);
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.Table.RestoreAsync(1, cancellationToken: Cancel));
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
        Assert.Equal(2, (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Version);
    }

    [Fact]
    public async Task Optimize_TableOfSparkWithDeletionVectors_WritesTheRowsThatAreLeft()
    {
        const string Name = "log-replay-dv-key-cases";
        var root = Path.GetDirectoryName(tables.Store.LocalPath("t"))!;
        using (var tar = Process.Start(new ProcessStartInfo("tar", ["--zstd", "-xf", SharedData.Find($"delta-golden/{Name}.tar.zst"), "-C", root]) { UseShellExecute = false })!)
        {
            await tar.WaitForExitAsync(Cancel);
            Assert.SkipUnless(tar.ExitCode == 0, "tar cannot unpack zstd here");
        }
        var table = (await DeltaTable.OpenAsync(tables.Store, $"{Name}/delta", cancellationToken: Cancel))!;
        var ids = await IdsAsync(table);
        Assert.Contains((await table.SnapshotAsync(cancellationToken: Cancel)).Files, file => file.DeletionVector is not null);

        Assert.IsType<CommitOutcome.Committed>(await table.OptimizeAsync(cancellationToken: Cancel));

        Assert.All((await table.SnapshotAsync(cancellationToken: Cancel)).Files, file => Assert.Null(file.DeletionVector));
        Assert.Equal(ids, await IdsAsync(table));
        // The vectors of long ago go; that of the file that was just written anew stays for readers of the version before.
        var vacuumed = await table.VacuumAsync(cancellationToken: Cancel);
        Assert.Equal(2, vacuumed.Files.Count);
        Assert.All(vacuumed.Files, file => Assert.Contains("/deletion_vector_", file, StringComparison.Ordinal));
        Assert.Equal(ids, await IdsAsync(table, 3));
        Assert.IsType<CommitOutcome.Committed>(await table.DeleteAsync($"id = {ids[0]}", cancellationToken: Cancel));
        Assert.Equal(ids[1..], await IdsAsync(table));
    }

    private static async Task<List<long>> IdsAsync(DeltaTable table, long? version = null)
    {
        var ids = new List<long>();
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(version, Cancel), Cancel))
            using (batch)
                for (var row = 0; row < batch.Length; row++) ids.Add(((Apache.Arrow.Int64Array)batch.Column(0)).GetValue(row)!.Value);
        return ids;
    }

    private async Task<List<string>> LogAsync() =>
        await tables.Store.ListAsync("t/_delta_log/", cancellationToken: Cancel).Select(file => file.Key["t/_delta_log/".Length..]).ToListAsync(Cancel);

    private async Task<List<long>> CheckpointsAsync() =>
        [.. (await LogAsync()).Where(name => name.EndsWith(".checkpoint.parquet", StringComparison.Ordinal)).Select(name => long.Parse(name[..20]))];

    /// <summary>Takes a put and then fails, once, as when the connection breaks before the answer.</summary>
    private sealed class ForgetfulStore(IObjectStore inner, string key) : IObjectStore
    {
        private bool isForgotten;

        public async Task<bool> PutAsync(string putKey, Stream content, PutMode mode, CancellationToken cancellationToken = default)
        {
            var put = await inner.PutAsync(putKey, content, mode, cancellationToken);
            if (putKey != key || isForgotten) return put;
            isForgotten = true;
            throw new IOException("the connection was reset");
        }

        public Task<Stream?> OpenReadAsync(string readKey, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
            inner.OpenReadAsync(readKey, offset, length, cancellationToken);

        public Task<ObjectInfo?> HeadAsync(string headKey, CancellationToken cancellationToken = default) => inner.HeadAsync(headKey, cancellationToken);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
            inner.ListAsync(prefix, startAfter, cancellationToken);

        public Task<bool> DeleteAsync(string deletedKey, CancellationToken cancellationToken = default) => inner.DeleteAsync(deletedKey, cancellationToken);

        public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) => inner.CopyAsync(from, to, cancellationToken);

        public string? LocalPath(string localKey) => inner.LocalPath(localKey);

        public Task<Uri?> PresignAsync(string signedKey, TimeSpan validity, CancellationToken cancellationToken = default) =>
            inner.PresignAsync(signedKey, validity, cancellationToken);
    }
}
