using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace ModelOps.Registry;

/// <summary>A table as the model has it, so that a new table is in the next backup without a word here.</summary>
internal sealed record MetadataTable(string Name, IReadOnlyList<MetadataColumn> Columns, IReadOnlyList<string> Key, string? Identity)
{
    /// <summary>All tables, each after those that it refers to.</summary>
    public static IReadOnlyList<MetadataTable> Of(MetadataContext context)
    {
        var waiting = context.Model.GetEntityTypes().OrderBy(entity => entity.GetTableName(), StringComparer.Ordinal).ToList();
        var ordered = new List<IEntityType>();
        while (waiting.Find(entity => entity.GetForeignKeys().All(key => key.PrincipalEntityType == entity || ordered.Contains(key.PrincipalEntityType))) is { } next)
        {
            waiting.Remove(next);
            ordered.Add(next);
        }
        return waiting.Count == 0
            ? [.. ordered.Select(Of)]
            : throw new InvalidOperationException($"Tables that refer to each other in a circle cannot be restored: {string.Join(", ", waiting.Select(entity => entity.GetTableName()))}.");
    }

    private static MetadataTable Of(IEntityType entity) => new(
        entity.GetTableName()!,
        [.. entity.GetProperties().Select(MetadataColumn.Of).OrderBy(column => column.Name, StringComparer.Ordinal)],
        [.. entity.FindPrimaryKey()!.Properties.Select(property => property.GetColumnName())],
        entity.GetProperties().SingleOrDefault(property => property.ValueGenerated == ValueGenerated.OnAdd && property.ClrType == typeof(long))?.GetColumnName());
}

internal sealed record MetadataColumn(string Name, ColumnKind Kind, bool Nullable)
{
    public static MetadataColumn Of(IProperty property)
    {
        var converted = property.GetRelationalTypeMapping().Converter?.ProviderClrType ?? property.ClrType;
        var type = System.Nullable.GetUnderlyingType(converted) ?? converted;
        ColumnKind kind = type switch
        {
            _ when type == typeof(string) => ColumnKind.Text,
            _ when type == typeof(long) => ColumnKind.Int64,
            _ when type == typeof(int) => ColumnKind.Int32,
            _ when type == typeof(double) => ColumnKind.Double,
            _ when type == typeof(bool) => ColumnKind.Boolean,
            _ when type == typeof(byte[]) => ColumnKind.Bytes,
            _ => throw new NotSupportedException($"A backup cannot hold {property.DeclaringType.Name}.{property.Name} of type {type}: give {nameof(ColumnKind)} that type."),
        };
        return new MetadataColumn(property.GetColumnName(), kind, property.IsNullable);
    }
}

/// <summary>What both databases hold in a column.</summary>
internal enum ColumnKind
{
    Text,
    Int64,
    Int32,
    Double,
    Boolean,
    Bytes,
}
