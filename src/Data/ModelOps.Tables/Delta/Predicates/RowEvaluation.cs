using System.Numerics;
using System.Runtime.InteropServices;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>A predicate on the rows of a batch, column by column.</summary>
internal static class RowEvaluation
{
    /// <returns>Per row exactly one outcome.</returns>
    public static Outcomes[] Of(Predicate predicate, RecordBatch batch)
    {
        switch (predicate)
        {
            case Predicate.Constant constant:
                return Repeat(OutcomesLogic.Of(constant.Value), batch.Length);
            case Predicate.Comparison comparison:
                return Compare(Column(comparison.Column, batch), comparison.Operator, comparison.Value, batch.Length);
            case Predicate.In any:
                var column = Column(any.Column, batch);
                return any.Values.Select(value => Compare(column, ComparisonOperator.Equal, value, batch.Length)).Aggregate(Or);
            case Predicate.IsNull missing:
                return IsNull(Column(missing.Column, batch), batch.Length);
            case Predicate.Not not:
                var rows = Of(not.Operand, batch);
                for (var i = 0; i < rows.Length; i++) rows[i] = rows[i].Not();
                return rows;
            case Predicate.And and:
                return and.Operands.Select(operand => Of(operand, batch)).Aggregate(And);
            case Predicate.Or or:
                return or.Operands.Select(operand => Of(operand, batch)).Aggregate(Or);
            default:
                throw new ArgumentException($"{predicate} is no predicate on rows", nameof(predicate));
        }
    }

    /// <summary>From the outermost column to the member: a value is null where any of them is.</summary>
    private static List<IArrowArray> Column(ColumnReference reference, RecordBatch batch)
    {
        var index = batch.Schema.GetFieldIndex(reference.Path[0].Name);
        if (index < 0) throw new ArgumentException($"the rows have no column {reference.Path[0].Name}", nameof(batch));
        var arrays = new List<IArrowArray> { batch.Column(index) };
        foreach (var field in reference.Path.Skip(1))
        {
            var parent = (StructArray)arrays[^1];
            arrays.Add(parent.Fields[((Apache.Arrow.Types.StructType)parent.Data.DataType).GetFieldIndex(field.Name)]);
        }
        return arrays;
    }

    private static Outcomes[] IsNull(List<IArrowArray> column, int length)
    {
        var rows = Repeat(Outcomes.False, length);
        foreach (var array in column.Where(array => array.NullCount != 0))
            for (var i = 0; i < length; i++)
                if (array.IsNull(i)) rows[i] = Outcomes.True;
        return rows;
    }

    private static Outcomes[] Compare(List<IArrowArray> column, ComparisonOperator comparison, ColumnValue value, int length)
    {
        var signs = new sbyte[length];
        Signs(column[^1], value, signs);
        var rows = new Outcomes[length];
        for (var i = 0; i < length; i++) rows[i] = OutcomesLogic.Of(comparison.Accepts(signs[i]));
        foreach (var array in column.Where(array => array.NullCount != 0))
            for (var i = 0; i < length; i++)
                if (array.IsNull(i)) rows[i] = Outcomes.Null;
        return rows;
    }

    /// <summary>Whether each value is below (-1), at (0) or above (1) the other; what stands for a null is of no account.</summary>
    private static void Signs(IArrowArray array, ColumnValue other, Span<sbyte> signs)
    {
        switch (array)
        {
            case Int8Array values: Whole(values.Values, other.Whole, signs); break;
            case Int16Array values: Whole(values.Values, other.Whole, signs); break;
            case Int32Array values: Whole(values.Values, other.Whole, signs); break;
            case Int64Array values: Whole(values.Values, other.Whole, signs); break;
            case Date32Array values: Whole(values.Values, other.Whole, signs); break;
            case TimestampArray values: Whole(values.Values, other.Whole, signs); break;
            case Decimal128Array values:
                Whole(MemoryMarshal.Cast<byte, Int128>(values.ValueBuffer.Span).Slice(values.Offset, values.Length), other.Whole, signs);
                break;
            case BooleanArray values:
                for (var i = 0; i < signs.Length; i++) signs[i] = (sbyte)((values.GetValue(i) == true ? 1 : 0) - (int)other.Whole);
                break;
            case FloatArray values:
                for (var i = 0; i < signs.Length; i++) signs[i] = (sbyte)ColumnValue.Compare(values.Values[i], other.Real);
                break;
            case DoubleArray values:
                for (var i = 0; i < signs.Length; i++) signs[i] = (sbyte)ColumnValue.Compare(values.Values[i], other.Real);
                break;
            case BinaryArray values: // StringArray too
                for (var i = 0; i < signs.Length; i++) signs[i] = (sbyte)Math.Sign(values.GetBytes(i, out _).SequenceCompareTo(other.Bytes));
                break;
            default:
                throw new ArgumentException($"{array.Data.DataType.Name} values do not compare", nameof(array));
        }
    }

    private static void Whole<T>(ReadOnlySpan<T> values, Int128 other, Span<sbyte> signs)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
    {
        if (other > Int128.CreateChecked(T.MaxValue)) signs.Fill(-1);
        else if (other < Int128.CreateChecked(T.MinValue)) signs.Fill(1);
        else
        {
            var bound = T.CreateChecked(other);
            for (var i = 0; i < signs.Length; i++) signs[i] = (sbyte)(values[i] < bound ? -1 : values[i] > bound ? 1 : 0);
        }
    }

    private static Outcomes[] And(Outcomes[] one, Outcomes[] other)
    {
        for (var i = 0; i < one.Length; i++) one[i] = one[i].And(other[i]);
        return one;
    }

    private static Outcomes[] Or(Outcomes[] one, Outcomes[] other)
    {
        for (var i = 0; i < one.Length; i++) one[i] = one[i].Or(other[i]);
        return one;
    }

    private static Outcomes[] Repeat(Outcomes outcome, int length)
    {
        var rows = new Outcomes[length];
        rows.AsSpan().Fill(outcome);
        return rows;
    }

    private static bool Accepts(this ComparisonOperator comparison, int sign) => comparison switch
    {
        ComparisonOperator.Equal => sign == 0,
        ComparisonOperator.NotEqual => sign != 0,
        ComparisonOperator.Less => sign < 0,
        ComparisonOperator.LessOrEqual => sign <= 0,
        ComparisonOperator.Greater => sign > 0,
        _ => sign >= 0,
    };
}
