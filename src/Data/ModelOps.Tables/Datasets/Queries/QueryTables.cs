using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Apache.Arrow.Types;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets.Queries;

/// <param name="Name">As the query has it.</param>
/// <param name="Dataset">Whose table it is.</param>
/// <param name="Version">Of the table.</param>
public sealed record VersionedTable(TableName Name, string Dataset, long Version);

/// <summary>Versions of tables as files that DuckDB can open, until it is disposed.</summary>
public sealed class QueryTables : IDisposable
{
    private readonly List<TableFiles.Lease> leases = [];
    private readonly List<QueryTable> tables = [];

    private QueryTables()
    {
    }

    public IReadOnlyList<QueryTable> Tables => tables;

    /// <returns>null: copies of the files would be larger than allowed.</returns>
    /// <exception cref="DeltaException">There is no such table or version, or it is broken.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the caller disposes the tables that it gets")]
    public static async Task<QueryTables?> OpenAsync(
        IObjectStore store, TableFiles files, IReadOnlyList<VersionedTable> tables, CancellationToken cancellationToken)
    {
        var (opened, complete) = (new QueryTables(), false);
        try
        {
            foreach (var table in tables)
                if (!await opened.AddAsync(store, files, table, cancellationToken).ConfigureAwait(false)) return null;
            complete = true;
            return opened;
        }
        finally
        {
            if (!complete) opened.Dispose();
        }
    }

    /// <summary>Rows per split, as DuckDB counts them.</summary>
    /// <param name="versions">Version of the table per split.</param>
    /// <exception cref="DeltaException">There is no such table or version, or it is broken.</exception>
    public static async Task<IReadOnlyDictionary<string, long>> CountAsync(
        IObjectStore store, string dataset, IReadOnlyDictionary<string, long> versions, CancellationToken cancellationToken)
    {
        const long Memory = 256 << 20;
        using var files = new TableFiles(store, Path.Combine(Path.GetTempPath(), $"modelops-count-{Guid.NewGuid():N}"), long.MaxValue);
        var named = versions.Select(version => new VersionedTable(new(Dataset: null, version.Key), dataset, version.Value)).ToList();
        using var opened = await OpenAsync(store, files, named, cancellationToken).ConfigureAwait(false);
        using var engine = new QueryEngine(Memory);
        var counts = string.Join(" UNION ALL ", versions.Keys.Select(split => $"SELECT '{split}' AS split, count(*) AS rows FROM {split}"));
        var query = new TableQuery(counts, opened!.Tables, new QueryPage(0, versions.Count, long.MaxValue));
        return engine.Run(query, cancellationToken) is QueryAnswer.Rows { Items: var rows }
            ? rows.ToDictionary(row => row.GetProperty("split").GetString()!, row => row.GetProperty("rows").GetInt64(), StringComparer.Ordinal)
            : throw new DeltaException($"the rows of {dataset} cannot be counted");
    }

    public void Dispose()
    {
        foreach (var lease in leases) lease.Dispose();
        leases.Clear();
    }

    private async Task<bool> AddAsync(IObjectStore store, TableFiles files, VersionedTable named, CancellationToken cancellationToken)
    {
        var table = await DatasetReader.OpenAsync(store, named.Dataset, named.Name.Table, cancellationToken).ConfigureAwait(false);
        var snapshot = await table.SnapshotAsync(named.Version, cancellationToken).ConfigureAwait(false);
        if (NotInFiles(snapshot) is { } what) throw new DeltaException($"{table.Path} {what}, which DuckDB would not see; another program wrote this table");
        var lease = await files.OpenAsync([.. snapshot.Files.Select(file => (table.KeyOf(file), file.Size))], cancellationToken).ConfigureAwait(false);
        if (lease is null) return false;
        leases.Add(lease);
        tables.Add(new(named.Name, lease.Files, [.. snapshot.Schema.FieldsList.Select(field => new QueryColumn(field.Name, TypeOf(field.DataType)))]));
        return true;
    }

    /// <returns>What the log says of the rows and their files do not; null: nothing.</returns>
    private static string? NotInFiles(Snapshot snapshot) =>
        snapshot.Files.FirstOrDefault(file => file.DeletionVector is not null) is { } deleted ? $"has deleted rows in {deleted.Path} (deletion vectors)"
        : snapshot.MappingMode != ColumnMappingMode.None ? $"has columns under other names in its files (delta.columnMapping.mode = {snapshot.MappingMode})"
        : snapshot.PartitionColumns.Count > 0 ? $"has the columns {string.Join(", ", snapshot.PartitionColumns)} in no file (partition columns)"
        : null;

    private static string TypeOf(IArrowType type) => type switch
    {
        StringType => "VARCHAR",
        Int64Type => "BIGINT",
        BooleanType => "BOOLEAN",
        ListType list => $"{TypeOf(list.ValueDataType)}[]",
        StructType fields => $"STRUCT({string.Join(", ", fields.Fields.Select(field => $"\"{field.Name}\" {TypeOf(field.DataType)}"))})",
        _ => throw new DeltaException(string.Create(CultureInfo.InvariantCulture, $"a dataset has no column of type {type.Name}")),
    };
}
