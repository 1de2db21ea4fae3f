using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using DuckDB.NET.Data;
using ModelOps.Data.Tests.Datasets;
using ModelOps.Storage;
using ModelOps.Tables.Delta;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Tables that Spark wrote (delta-io/delta-kernel-rs): each reads to exactly its expected rows, or is refused by name of what is missing.</summary>
public sealed class GoldenTableTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-golden-");

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData("124-decimal-decode-bug")]
    [InlineData("basic-decimal-table-legacy")]
    [InlineData("basic-with-inserts-deletes-checkpoint")]
    [InlineData("basic-with-inserts-overwrite-restore")]
    [InlineData("basic-with-vacuum-protocol-check-feature")]
    [InlineData("corrupted-last-checkpoint-kernel")]
    [InlineData("data-reader-array-complex-objects")]
    [InlineData("data-reader-date-types-America")]
    [InlineData("data-reader-date-types-Etc")]
    [InlineData("data-reader-date-types-Jst")]
    [InlineData("data-reader-date-types-utc")]
    [InlineData("data-reader-map")]
    [InlineData("data-reader-nullable-field-invalid-schema-key")]
    [InlineData("data-reader-primitives")]
    [InlineData("data-skipping-basic-stats-all-types-checkpoint")]
    [InlineData("data-skipping-change-stats-collected-across-versions")]
    [InlineData("decimal-various-scale-precision")]
    [InlineData("kernel-timestamp-int96")]
    [InlineData("kernel-timestamp-timestamp_micros")]
    [InlineData("log-replay-special-characters")]
    [InlineData("log-replay-special-characters-a")]
    [InlineData("parquet-all-types-legacy-format")]
    [InlineData("parquet-decimal-dictionaries")]
    [InlineData("snapshot-data0")]
    [InlineData("snapshot-data2-deleted")]
    [InlineData("snapshot-data3")]
    [InlineData("snapshot-vacuumed")]
    [InlineData("time-travel-partition-changes-b")]
    [InlineData("time-travel-schema-changes-b")]
    [InlineData("time-travel-start-start20")]
    [InlineData("v2-checkpoint-parquet")]
    [InlineData("table-with-columnmapping-mode-name")]
    [InlineData("log-replay-dv-key-cases")]
    [InlineData("dv-with-columnmapping")]
    [InlineData("data-skipping-basic-stats-all-types-columnmapping-name")]
    [InlineData("data-reader-timestamp_ntz-name-mode")]
    public async Task Read_SupportedTable_HasExactlyTheExpectedRows(string name)
    {
        var table = await OpenAsync(name);
        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        var ours = Path.Combine(folder.FullName, "ours.parquet");
        using (var writer = new FileWriter(ours, snapshot.Schema))
        {
            await foreach (var batch in table.ReadAsync(snapshot, Cancel))
                using (batch)
                    writer.WriteRecordBatch(batch);
            writer.Close();
        }
        Assert.Empty(Difference($"'{ours}'", $"'{folder.FullName}/{name}/expected/*.parquet'"));
    }

    [Theory]
    [InlineData("canonicalized-paths-normal-b")]
    [InlineData("canonicalized-paths-special-b")]
    public async Task Read_FileRemovedUnderAnotherSpelling_HasNoRows(string name)
    {
        var table = await OpenAsync(name);
        Assert.Empty((await table.SnapshotAsync(cancellationToken: Cancel)).Files);
    }

    [Theory]
    [InlineData("deltalog-commit-info", "schemaString")]
    [InlineData("deltalog-invalid-protocol-version", "protocol version 99")]
    [InlineData("deltalog-state-reconstruction-from-checkpoint-missing-protocol", "no protocol action")]
    [InlineData("deltalog-state-reconstruction-without-protocol", "no protocol action")]
    [InlineData("update-deleted-directory", "schemaString")]
    public async Task Snapshot_UnsupportedOrBrokenTable_IsRefusedWithTheReason(string name, string reason)
    {
        var table = await OpenAsync(name);
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(cancellationToken: Cancel));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NoLog_IsNull()
    {
        var store = await ExtractAsync("no-delta-log-folder");
        Assert.Null(await DeltaTable.OpenAsync(store, "no-delta-log-folder/delta", cancellationToken: Cancel));
    }

    private async Task<DeltaTable> OpenAsync(string name) =>
        await DeltaTable.OpenAsync(await ExtractAsync(name), $"{name}/delta", cancellationToken: Cancel) ?? throw new InvalidOperationException($"{name} has no table");

    private async Task<IObjectStore> ExtractAsync(string name)
    {
        var archive = SharedData.Find($"delta-golden/{name}.tar.zst");
        using var tar = Process.Start(new ProcessStartInfo("tar", ["--zstd", "-xf", archive, "-C", folder.FullName]) { RedirectStandardError = true, UseShellExecute = false })!;
        var errors = await tar.StandardError.ReadToEndAsync(Cancel);
        await tar.WaitForExitAsync(Cancel);
        Assert.SkipUnless(tar.ExitCode == 0, $"tar cannot unpack zstd here: {errors}");
        return new FileObjectStore(folder.FullName);
    }

    /// <summary>Rows that one has and the other has not, or not as often.</summary>
    [SuppressMessage("Security", "CA2100", Justification = "the paths and names are this test's own")]
    private static List<string> Difference(string ours, string theirs)
    {
        using var connection = new DuckDBConnection("DataSource=:memory:");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"DESCRIBE SELECT * FROM read_parquet({theirs})";
        var names = new List<string>();
        using (var reader = command.ExecuteReader())
            while (reader.Read()) names.Add($"\"{reader.GetString(0)}\"");
        var columns = string.Join(", ", names);
        var (mine, other) = ($"SELECT {columns} FROM read_parquet({ours})", $"SELECT {columns} FROM read_parquet({theirs})");
        command.CommandText = string.Create(CultureInfo.InvariantCulture,
            $"SELECT 'more: ' || t::VARCHAR FROM ({mine} EXCEPT ALL {other}) t UNION ALL SELECT 'less: ' || t::VARCHAR FROM ({other} EXCEPT ALL {mine}) t LIMIT 10");
        var rows = new List<string>();
        using (var reader = command.ExecuteReader())
            while (reader.Read()) rows.Add(reader.GetString(0));
        return rows;
    }
}
