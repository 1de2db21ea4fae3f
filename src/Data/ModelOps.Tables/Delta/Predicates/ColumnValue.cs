using System.Globalization;
using System.Text;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// A value that is not null, in the order of its column's type: whole numbers, booleans, days, microseconds and unscaled decimals as
/// <paramref name="Whole"/>; float and double as <paramref name="Real"/>, with NaN above all; text and binary as <paramref name="Bytes"/>.
/// Values of different types do not compare.
/// </summary>
internal readonly record struct ColumnValue(Int128 Whole, double Real = 0, byte[]? Bytes = null) : IComparable<ColumnValue>
{
    private const DateTimeStyles Utc = DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal;

    public static int Compare(double one, double other) => one < other ? -1 : one > other ? 1 : double.IsNaN(one).CompareTo(double.IsNaN(other));

    public int CompareTo(ColumnValue other) =>
        Bytes is not null && other.Bytes is not null ? Bytes.AsSpan().SequenceCompareTo(other.Bytes)
        : Whole.CompareTo(other.Whole) is var whole and not 0 ? whole
        : Compare(Real, other.Real);

    public static bool operator <(ColumnValue left, ColumnValue right) => left.CompareTo(right) < 0;

    public static bool operator >(ColumnValue left, ColumnValue right) => left.CompareTo(right) > 0;

    public static bool operator <=(ColumnValue left, ColumnValue right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ColumnValue left, ColumnValue right) => left.CompareTo(right) >= 0;

    /// <param name="text">As in PROTOCOL.md, "Partition Value Serialization"; times without a zone are in UTC.</param>
    /// <returns>null: it is no value of the type. Whole numbers may be beyond the type's range.</returns>
    public static ColumnValue? Parse(IArrowType type, string text) => type switch
    {
        StringType => new(0, 0, Encoding.UTF8.GetBytes(text)),
        BinaryType => new(0, 0, Encoding.Latin1.GetBytes(text)),
        BooleanType => bool.TryParse(text, out var flag) ? new(flag ? 1 : 0) : null,
        Int8Type or Int16Type or Int32Type or Int64Type =>
            Int128.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? new(number) : null,
        FloatType => float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) ? new(0, real) : null,
        DoubleType => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) ? new(0, real) : null,
        Date32Type => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)
            ? new(day.DayNumber - DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber)
            : null,
        TimestampType => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, Utc, out var time)
            ? new((time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond)
            : null,
        Decimal128Type decimals => Unscaled(text, decimals.Scale) is { } unscaled ? new(unscaled) : null,
        _ => null,
    };

    /// <returns>null: no decimal number, or one with more digits after the point.</returns>
    private static Int128? Unscaled(string text, int scale)
    {
        var point = text.IndexOf('.', StringComparison.Ordinal);
        var digits = point < 0 ? text : text.Remove(point, 1);
        var missing = scale - (point < 0 ? 0 : text.Length - point - 1);
        return missing >= 0
            && Int128.TryParse(digits + new string('0', missing), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
    }
}
