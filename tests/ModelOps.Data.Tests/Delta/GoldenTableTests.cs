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
    private const string Rows = "read: exactly the expected rows";
    private const string NoRows = "read: no rows, its only file was removed under another spelling of its path";
    private const string NoTable = "no table: there is no _delta_log folder";

    /// <summary>What becomes of each; anything else than these three is a part of the reason for which it is refused.</summary>
    private static readonly SortedDictionary<string, string> Expected = new(StringComparer.Ordinal)
    {
        ["124-decimal-decode-bug"] = Rows,
        ["basic-decimal-table-legacy"] = Rows,
        ["basic-with-inserts-deletes-checkpoint"] = Rows,
        ["basic-with-inserts-overwrite-restore"] = Rows,
        ["basic-with-vacuum-protocol-check-feature"] = Rows,
        ["canonicalized-paths-normal-b"] = NoRows,
        ["canonicalized-paths-special-b"] = NoRows,
        ["corrupted-last-checkpoint-kernel"] = Rows,
        ["data-reader-array-complex-objects"] = Rows,
        ["data-reader-date-types-America"] = Rows,
        ["data-reader-date-types-Etc"] = Rows,
        ["data-reader-date-types-Jst"] = Rows,
        ["data-reader-date-types-utc"] = Rows,
        ["data-reader-map"] = Rows,
        ["data-reader-nullable-field-invalid-schema-key"] = Rows,
        ["data-reader-primitives"] = Rows,
        ["data-reader-timestamp_ntz-name-mode"] = Rows,
        ["data-skipping-basic-stats-all-types-checkpoint"] = Rows,
        ["data-skipping-basic-stats-all-types-columnmapping-name"] = Rows,
        ["data-skipping-change-stats-collected-across-versions"] = Rows,
        ["decimal-various-scale-precision"] = Rows,
        ["deltalog-commit-info"] = "schemaString",
        ["deltalog-invalid-protocol-version"] = "protocol version 99",
        ["deltalog-state-reconstruction-from-checkpoint-missing-protocol"] = "no protocol action",
        ["deltalog-state-reconstruction-without-protocol"] = "no protocol action",
        ["dv-with-columnmapping"] = Rows,
        ["kernel-timestamp-int96"] = Rows,
        ["kernel-timestamp-timestamp_micros"] = Rows,
        ["log-replay-dv-key-cases"] = Rows,
        ["log-replay-special-characters"] = Rows,
        ["log-replay-special-characters-a"] = Rows,
        ["no-delta-log-folder"] = NoTable,
        ["parquet-all-types-legacy-format"] = Rows,
        ["parquet-decimal-dictionaries"] = Rows,
        ["snapshot-data0"] = Rows,
        ["snapshot-data2-deleted"] = Rows,
        ["snapshot-data3"] = Rows,
        ["snapshot-vacuumed"] = Rows,
        ["table-with-columnmapping-mode-name"] = Rows,
        ["time-travel-partition-changes-b"] = Rows,
        ["time-travel-schema-changes-b"] = Rows,
        ["time-travel-start-start20"] = Rows,
        ["update-deleted-directory"] = "schemaString",
        ["v2-checkpoint-parquet"] = Rows,
    };

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-golden-");

    private static CancellationToken Cancel => TestTables.Cancel;

    public static TheoryData<string> Read => new(Expected.Where(table => table.Value == Rows).Select(table => table.Key));

    public static TheoryData<string> Empty => new(Expected.Where(table => table.Value == NoRows).Select(table => table.Key));

    public static TheoryData<string, string> Refused =>
        new(Expected.Where(table => table.Value is not (Rows or NoRows or NoTable)).Select(table => (table.Key, table.Value)));

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Read))]
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
    [MemberData(nameof(Empty))]
    public async Task Read_FileRemovedUnderAnotherSpelling_HasNoRows(string name)
    {
        var table = await OpenAsync(name);
        Assert.Empty((await table.SnapshotAsync(cancellationToken: Cancel)).Files);
    }

    [Theory]
    [MemberData(nameof(Refused))]
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

    /// <summary>docs/delta.md tells of each table what the tests above check; MODELOPS_WRITE_DOCS=true writes it anew.</summary>
    [Fact]
    public async Task Documentation_OfTheGoldenTables_IsCurrent()
    {
        var archives = Path.GetDirectoryName(SharedData.Find("delta-golden/snapshot-data0.tar.zst"))!;
        var names = Directory.EnumerateFiles(archives, "*.tar.zst").Select(archive => Path.GetFileName(archive).Replace(".tar.zst", "", StringComparison.Ordinal));
        Assert.Equal(Expected.Keys, names.Order(StringComparer.Ordinal));

        const string Begin = "<!-- golden tables: written by GoldenTableTests -->\n";
        const string End = "<!-- end of golden tables -->\n";
        var lines = new List<string> { "| table | result |", "|---|---|" };
        foreach (var (name, expected) in Expected)
        {
            var result = expected;
            if (expected is not (Rows or NoRows or NoTable))
            {
                var table = await OpenAsync(name);
                var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(cancellationToken: Cancel));
                result = $"refused: {error.Message.Replace($"{name}/delta", "the table", StringComparison.Ordinal)}";
            }
            lines.Add($"| {name} | {result} |");
        }
        var path = RepositoryFile("docs/delta.md");
        var text = await File.ReadAllTextAsync(path, Cancel);
        var (start, end) = (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, text.IndexOf(End, StringComparison.Ordinal));
        var current = $"{text[..start]}\n{string.Join('\n', lines)}\n\n{text[end..]}";
        if (Environment.GetEnvironmentVariable("MODELOPS_WRITE_DOCS") == "true") await File.WriteAllTextAsync(path, current, Cancel);
        else Assert.Equal(current, text);
    }

    private static string RepositoryFile(string path)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "ModelOps.slnx"))) root = root.Parent!;
        return Path.Combine(root.FullName, path);
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
