using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Apache.Arrow;
using Apache.Arrow.Types;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>
/// A file's rows in the table's schema: columns by name or id, nulls where the file is older than a column, partition values as constants,
/// and the types that other writers use for the same values made the table's.
/// </summary>
internal sealed class ColumnProjection(Schema schema, ColumnMappingMode mode)
{
    private const string ParquetFieldId = "PARQUET:field_id";

    public Schema Schema => schema;

    /// <summary>Whether a column of a file is one of the table's.</summary>
    public bool Needs(Field column) => schema.FieldsList.Any(field => IsSame(column, field));

    /// <summary>Whether columns of a file that has this one can be found at all.</summary>
    public bool CanFind(Field column) => mode != ColumnMappingMode.Id || column.Metadata?.ContainsKey(ParquetFieldId) == true;

    public string PhysicalName(ColumnReference column) => column.Path[0].PhysicalName(mode);

    /// <returns>The leaf of a file where a column's values are; below 0: it has none, or is nested.</returns>
    public int LeafOf(ColumnReference column, IReadOnlyList<SchemaField> columns) =>
        column.Path.Count > 1 ? -1 : columns.Where(field => IsSame(field.Field, column.Path[0])).Select(field => field.ColumnIndex).FirstOrDefault(-1);

    /// <summary>Takes the batch over: its buffers go to the result or are released.</summary>
    /// <param name="partition">By physical name.</param>
    /// <exception cref="DeltaException">A column does not fit.</exception>
    public RecordBatch Apply(RecordBatch batch, IReadOnlyDictionary<string, string?> partition, string key)
    {
        var used = new HashSet<int>();
        var columns = schema.FieldsList.Select(field => ArrowArrayFactory.BuildArray(Column(field))).ToList();
        for (var i = 0; i < batch.ColumnCount; i++)
            if (!used.Contains(i)) batch.Column(i).Dispose();
        return new(schema, columns, batch.Length);

        ArrayData Column(Field field)
        {
            if (partition.TryGetValue(field.PhysicalName(mode), out var text))
                return ConstantColumn.Build(field, text, batch.Length)
                    ?? throw new DeltaException($"{key}: '{text}' is no value of partition column {field.Name}");
            var index = IndexOf(batch.Schema.FieldsList, field);
            if (index < 0) return Missing(field, batch.Length, key);
            used.Add(index);
            return Conform(batch.Column(index).Data, field, key);
        }
    }

    private int IndexOf(IReadOnlyList<Field> columns, Field field)
    {
        for (var i = 0; i < columns.Count; i++)
            if (IsSame(columns[i], field)) return i;
        return -1;
    }

    /// <summary>Columns that are not the table's, like _change_type, have no id.</summary>
    private bool IsSame(Field column, Field field) => mode == ColumnMappingMode.Id && field.PhysicalId() is { } id
        ? column.Metadata?.GetValueOrDefault(ParquetFieldId) == id.ToString(CultureInfo.InvariantCulture)
        : column.Name == field.PhysicalName(mode);

    private static ArrayData Missing(Field field, int length, string key) => field.IsNullable
        ? ConstantColumn.Nulls(field.DataType, length)
        : throw new DeltaException($"{key} has no column {field.Name}, which must not be null");

    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its children")]
    private ArrayData Conform(ArrayData data, Field field, string key) => (data.DataType, field.DataType) switch
    {
        (StructType from, StructType to) => With(data, to, to.Fields.Select(child => Child(data, from, child, key))),
        (MapType, MapType to) => With(data, to, [With(data.Children[0], to.KeyValueType, [
            Conform(data.Children[0].Children[0], to.KeyField, key), Conform(data.Children[0].Children[1], to.ValueField, key)])]),
        (ListType, ListType to) => With(data, to, [Conform(data.Children[0], to.ValueField, key)]),
        (TimestampType { Unit: TimeUnit.Microsecond }, TimestampType { Unit: TimeUnit.Microsecond } to) => With(data, to, []),
        (Decimal128Type from, Decimal128Type to) when from.Scale == to.Scale && from.Precision <= to.Precision => With(data, to, []),
        (BinaryType, StringType to) => With(data, to, []), // files of old writers do not say which bytes are text
        var (from, to) when from.TypeId == to.TypeId && to is not (NestedType or Decimal128Type or TimestampType) => data,
        var (from, to) => Widening.Cast(data, to)
            ?? throw new DeltaException($"{key}: column {field.Name} is {from.Name} in the file and {to.Name} in the table"),
    };

    [SuppressMessage("Reliability", "CA2000", Justification = "the parent owns its children")]
    private ArrayData Child(ArrayData data, StructType from, Field field, string key)
    {
        var index = IndexOf(from.Fields, field);
        return index < 0 ? Missing(field, data.Length + data.Offset, key) : Conform(data.Children[index], field, key);
    }

    private static ArrayData With(ArrayData data, IArrowType type, IEnumerable<ArrayData> children) =>
        new(type, data.Length, data.NullCount, data.Offset, data.Buffers, [.. children]);
}
