using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>What a new table is, beside its columns.</summary>
public sealed record TableOptions
{
    /// <summary>Columns by whose values the files are divided. Default: none.</summary>
    public IReadOnlyList<string> PartitionColumns { get; init; } = [];

    /// <summary>Table properties: those of Delta begin with 'delta.', any other is kept as it is.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public string? Name { get; init; }

    public string? Description { get; init; }

    /// <summary>Who makes it.</summary>
    public WriteOptions Write { get; init; } = new();
}

internal static class TableCreation
{
    /// <exception cref="ArgumentException">The table cannot be like that; all that is wrong is said.</exception>
    public static TableTransaction Plan(string path, Schema schema, TableOptions options, DateTimeOffset now)
    {
        var schemaString = SchemaJson.Render(schema);
        var metadata = new Metadata(
            $"{Guid.NewGuid()}", new("parquet", new Dictionary<string, string>(StringComparer.Ordinal)), options.PartitionColumns, schemaString,
            options.Properties, now.ToUnixTimeMilliseconds(), options.Name, options.Description);
        var properties = new TableProperties(options.Properties);
        var faults = properties.Faults().Concat(Faults(schema, options.PartitionColumns)).ToList();
        if (faults.Count > 0) throw new ArgumentException($"{path} cannot be made: {string.Join("; ", faults)}", nameof(options));
        var protocol = WriterFeatures.For(schema, properties);
        var before = new Snapshot(-1, DateTimeOffset.UnixEpoch, schema, protocol, metadata, []);
        WriterFeatures.CheckWritable(path, before);
        return new(before, "CREATE TABLE", options.Write, [new() { Protocol = protocol }, new() { MetaData = metadata }]);
    }

    private static IEnumerable<string> Faults(Schema schema, IReadOnlyList<string> partitions)
    {
        foreach (var twice in schema.FieldsList.GroupBy(field => field.Name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1))
            yield return $"two columns are called {twice.Key}";
        foreach (var twice in partitions.GroupBy(name => name, StringComparer.Ordinal).Where(group => group.Count() > 1))
            yield return $"the partition column {twice.Key} is named twice";
        foreach (var name in partitions)
        {
            if (schema.GetFieldIndex(name) is >= 0 and var index)
            {
                if (schema.FieldsList[index].DataType is NestedType)
                    yield return $"the partition column {name} is a {schema.FieldsList[index].DataType.Name}: only plain values divide a table";
            }
            else yield return $"the partition column {name} is no column";
        }
        if (partitions.Count > 0 && schema.FieldsList.All(field => partitions.Contains(field.Name, StringComparer.Ordinal)))
            yield return "every column is a partition column: files would have none";
    }
}
