using System.Text.Json;
using Apache.Arrow.Types;
using DuckDB.NET.Data;
using ModelOps.Storage;
using ModelOps.Tables.Delta;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Delta;

/// <summary>
/// What others find in a table that we wrote: which files the log adds and does not remove, by a reader of its JSON that knows nothing else,
/// and the rows of these files, by DuckDB.
/// </summary>
internal static class ForeignReaders
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The files are those of the snapshot and their rows, partition values included, are those that the table reads.</summary>
    public static async Task AssertAgreeAsync(FileObjectStore store, DeltaTable table)
    {
        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        if (await LogFilesAsync(store, table.Path) is { } files)
            Assert.Equal(files.Keys.Order(StringComparer.Ordinal), snapshot.Files.Select(file => file.Path).Order(StringComparer.Ordinal));
        if (snapshot.Files.Count == 0) return;

        var ours = Path.Combine(Path.GetTempPath(), $"modelops-test-{Guid.NewGuid():N}.parquet");
        try
        {
            var rows = 0L;
            using (var writer = new FileWriter(ours, snapshot.Schema))
            {
                await foreach (var batch in table.ReadAsync(snapshot, cancellationToken: Cancel))
                {
                    using (batch) writer.WriteRecordBatch(batch);
                    rows += batch.Length;
                }
                writer.Close();
            }
            var columns = string.Join(", ", snapshot.Schema.FieldsList.Select(field => Name(field.Name)));
            var theirs = string.Join(" UNION ALL BY NAME ", snapshot.Files.Select(file => Select(store, table, snapshot, file))
                .Prepend($"SELECT {columns} FROM read_parquet({Text(ours)}) WHERE false"));
            using var connection = new DuckDBConnection("DataSource=:memory:");
            connection.Open();
            Assert.Equal(rows, Count(connection, $"SELECT count(*) FROM ({theirs})"));
            Assert.Equal(0, Count(connection, $"SELECT count(*) FROM (SELECT {columns} FROM ({theirs}) EXCEPT ALL SELECT {columns} FROM read_parquet({Text(ours)}))"));
        }
        finally
        {
            File.Delete(ours);
        }
    }

    /// <returns>By path the add action of each file; null: the log no longer begins at version 0.</returns>
    private static async Task<Dictionary<string, JsonElement>?> LogFilesAsync(FileObjectStore store, string path)
    {
        var files = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        for (var version = 0L; ; version++)
        {
            await using var source = await store.OpenReadAsync(TestTables.LogKey(version, path), cancellationToken: Cancel);
            if (source is null) return version == 0 ? null : files;
            using var reader = new StreamReader(source);
            var actions = (await reader.ReadToEndAsync(Cancel)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => JsonDocument.Parse(line).RootElement).ToList();
            foreach (var action in actions)
                if (action.TryGetProperty("remove", out var remove)) Assert.True(files.Remove(remove.GetProperty("path").GetString()!), $"version {version} removes what is not there");
            foreach (var action in actions)
                if (action.TryGetProperty("add", out var add)) Assert.True(files.TryAdd(add.GetProperty("path").GetString()!, add), $"version {version} adds what is there");
        }
    }

    private static string Select(FileObjectStore store, DeltaTable table, Snapshot snapshot, AddFile file)
    {
        var constants = file.PartitionValues.Select(value =>
            $"CAST({(value.Value is null ? "NULL" : Text(value.Value))} AS {TypeName(snapshot.Schema.GetFieldByName(value.Key).DataType)}) AS {Name(value.Key)}");
        var path = store.LocalPath($"{table.Path}/{Uri.UnescapeDataString(file.Path)}")!;
        var pattern = string.Concat(path.Select(c => c is '*' or '?' or '[' ? $"[{c}]" : $"{c}"));
        return $"SELECT {string.Join(", ", constants.Prepend("*"))} FROM read_parquet({Text(pattern)}, hive_partitioning = false)";
    }

    private static string TypeName(IArrowType type) => type switch
    {
        StringType => "VARCHAR",
        BooleanType => "BOOLEAN",
        Int8Type => "TINYINT",
        Int16Type => "SMALLINT",
        Int32Type => "INTEGER",
        Int64Type => "BIGINT",
        FloatType => "FLOAT",
        DoubleType => "DOUBLE",
        Date32Type => "DATE",
        TimestampType timestamp => timestamp.Timezone is null ? "TIMESTAMP" : "TIMESTAMPTZ",
        Decimal128Type decimals => $"DECIMAL({decimals.Precision}, {decimals.Scale})",
        _ => throw new InvalidOperationException($"{type.Name} is no type of a partition column here"),
    };

    private static long Count(DuckDBConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt64(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static string Text(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    private static string Name(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
