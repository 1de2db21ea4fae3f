using Apache.Arrow.Types;
using ParquetSharp;

namespace ModelOps.Tables.Delta;

/// <summary>What a Parquet file says of the values of one of its row groups.</summary>
internal static class RowGroupBounds
{
    /// <param name="leaf">Of the file; below 0: none.</param>
    public static Bounds Of(RowGroupMetaData rows, int leaf, IArrowType type)
    {
        if (leaf < 0) return Bounds.Unknown;
        using var chunk = rows.GetColumnChunkMetaData(leaf);
        using var statistics = chunk.Statistics;
        if (statistics is null) return Bounds.Unknown;
        var (min, max) = statistics.HasMinMax ? MinMax(statistics, type) : (null, null);
        // A count of nulls that was not written is read as 0.
        return new(min, max, HasNulls: true, HasValues: statistics.NumValues > 0);
    }

    /// <summary>Of the types whose order in Parquet is that of the table's values.</summary>
    private static (ColumnValue? Min, ColumnValue? Max) MinMax(Statistics statistics, IArrowType type) => (statistics, type) switch
    {
        (Statistics<int> values, Int8Type or Int16Type or Int32Type or Int64Type or Date32Type) => (new(values.Min), new(values.Max)),
        (Statistics<long> values, Int64Type) => (new(values.Min), new(values.Max)),
        _ => (null, null),
    };
}
