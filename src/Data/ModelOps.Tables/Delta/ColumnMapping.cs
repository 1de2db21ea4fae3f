using System.Globalization;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>How a table's columns find theirs in files, partition values and statistics (PROTOCOL.md, "Column Mapping").</summary>
internal enum ColumnMappingMode
{
    /// <summary>Columns are called the same everywhere.</summary>
    None,

    /// <summary>By the physical name that the schema has for each.</summary>
    Name,

    /// <summary>In Parquet files by field id, elsewhere by physical name.</summary>
    Id,
}

internal static class ColumnMapping
{
    private const string PhysicalNameKey = "delta.columnMapping.physicalName";
    private const string IdKey = "delta.columnMapping.id";

    /// <exception cref="DeltaException">The table names another mode.</exception>
    public static ColumnMappingMode ModeOf(string table, Protocol protocol, Metadata metadata) =>
        protocol.MinReaderVersion < 2 ? ColumnMappingMode.None : metadata.Configuration?.GetValueOrDefault("delta.columnMapping.mode") switch
        {
            null or "none" => ColumnMappingMode.None,
            "name" => ColumnMappingMode.Name,
            "id" => ColumnMappingMode.Id,
            var other => throw new DeltaException($"{table} maps columns by {other}, which is not supported"),
        };

    public static string PhysicalName(this Field field, ColumnMappingMode mode) =>
        mode != ColumnMappingMode.None && field.Metadata?.GetValueOrDefault(PhysicalNameKey) is { } name ? name : field.Name;

    /// <returns>null: it has none.</returns>
    public static int? PhysicalId(this Field field) =>
        int.TryParse(field.Metadata?.GetValueOrDefault(IdKey), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
}
