using System.Text;
using System.Text.Json;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Which files a predicate needs, from partition values and statistics alone: one that may have a true row is never left out, whatever
/// is not known of it.
/// </summary>
internal static class FileSkipping
{
    private const int TruncatedLength = 32;

    public static IEnumerable<AddFile> Matching(Snapshot snapshot, Predicate predicate) =>
        snapshot.Files.Where(file => MayMatch(snapshot, predicate, file));

    public static bool MayMatch(Snapshot snapshot, Predicate predicate, AddFile file)
    {
        try
        {
            using var stats = file.Stats is null ? null : JsonDocument.Parse(file.Stats);
            return MayMatch(predicate, new FileFacts(snapshot, file, stats?.RootElement).Of);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return true; // broken statistics, or broken UTF-16 in them
        }
    }

    /// <param name="bounds">What is known of a column's values.</param>
    public static bool MayMatch(Predicate predicate, Func<ColumnReference, Bounds> bounds) => Of(predicate, bounds).May(Outcomes.True);

    /// <returns>null: the statistics do not say.</returns>
    public static long? RowsOf(AddFile file)
    {
        try
        {
            using var stats = file.Stats is null ? null : JsonDocument.Parse(file.Stats);
            return stats?.RootElement is { ValueKind: JsonValueKind.Object } root
                && root.TryGetProperty("numRecords", out var rows) && rows.ValueKind == JsonValueKind.Number && rows.TryGetInt64(out var count)
                ? count
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Outcomes Of(Predicate predicate, Func<ColumnReference, Bounds> bounds) => predicate switch
    {
        Predicate.Constant constant => OutcomesLogic.Of(constant.Value),
        Predicate.Comparison comparison => Compare(bounds(comparison.Column), comparison.Operator, comparison.Value),
        Predicate.In any => In(bounds(any.Column), any.Values),
        Predicate.IsNull missing => IsNull(bounds(missing.Column)),
        Predicate.Not not => Of(not.Operand, bounds).Not(),
        Predicate.And and => and.Operands.Select(operand => Of(operand, bounds)).Aggregate(OutcomesLogic.And),
        Predicate.Or or => or.Operands.Select(operand => Of(operand, bounds)).Aggregate(OutcomesLogic.Or),
        _ => Outcomes.Any,
    };

    private static Outcomes IsNull(Bounds column) => Outcomes.True.If(column.HasNulls) | Outcomes.False.If(column.HasValues);

    private static Outcomes In(Bounds column, IReadOnlyList<ColumnValue> values) =>
        values.Select(value => Compare(column, ComparisonOperator.Equal, value)).Aggregate(OutcomesLogic.Or);

    private static Outcomes Compare(Bounds column, ComparisonOperator comparison, ColumnValue value)
    {
        var (below, above) = (column.Min is not { } min || min < value, column.Max is not { } max || max > value);
        var at = (column.Min is not { } least || least <= value) && (column.Max is not { } most || most >= value);
        var (yes, no) = comparison switch
        {
            ComparisonOperator.Equal => (at, below || above),
            ComparisonOperator.NotEqual => (below || above, at),
            ComparisonOperator.Less => (below, at || above),
            ComparisonOperator.LessOrEqual => (below || at, above),
            ComparisonOperator.Greater => (above, below || at),
            _ => (at || above, below),
        };
        return Outcomes.Null.If(column.HasNulls) | Outcomes.True.If(column.HasValues && yes) | Outcomes.False.If(column.HasValues && no);
    }

    private sealed class FileFacts(Snapshot snapshot, AddFile file, JsonElement? stats)
    {
        public Bounds Of(ColumnReference column)
        {
            var names = column.Path.Select(field => field.PhysicalName(snapshot.MappingMode)).ToList();
            if (names.Count == 1 && file.PartitionValues.TryGetValue(names[0], out var text)) return OfPartition(column.Type, text);
            var rows = Count(Member(["numRecords"]));
            var nulls = Count(Member(["nullCount", .. names]));
            // Statistics from before a type was widened are in digits of the narrower one: 0.7 as a float is a little less as a double.
            var isWidened = column.Path[^1].Metadata?.ContainsKey("delta.typeChanges") == true;
            return new(
                isWidened ? null : Bound(column.Type, Member(["minValues", .. names]), isMax: false),
                isWidened ? null : Bound(column.Type, Member(["maxValues", .. names]), isMax: true),
                HasNulls: nulls != 0,
                HasValues: nulls is null || rows is null || nulls != rows);
        }

        private static Bounds OfPartition(IArrowType type, string? text)
        {
            if (string.IsNullOrEmpty(text)) return new(null, null, HasNulls: true, HasValues: false);
            var value = ColumnValue.Parse(type, text);
            return new(value, value, HasNulls: false, HasValues: true);
        }

        private JsonElement? Member(IReadOnlyList<string> path)
        {
            var element = stats;
            foreach (var name in path)
                element = element is { ValueKind: JsonValueKind.Object } parent && parent.TryGetProperty(name, out var member) ? member : null;
            return element;
        }

        private static long? Count(JsonElement? element) =>
            element is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var count) ? count : null;

        private static ColumnValue? Bound(IArrowType type, JsonElement? element, bool isMax)
        {
            if (element is not { ValueKind: JsonValueKind.Number or JsonValueKind.String } json) return null;
            var text = json.ToString();
            return type switch
            {
                StringType => new(0, 0, TextBound(text, isMax)),
                BinaryType => null, // no writer agrees with another on how bytes are text
                // Some writers leave NaN, which is above all, out of the bounds; and a bound that is NaN says that a writer had no order.
                FloatType or DoubleType => isMax || ColumnValue.Parse(type, text) is not { } real || double.IsNaN(real.Real) ? null : real,
                // Cut to milliseconds by Spark.
                TimestampType => ColumnValue.Parse(type, text) is { } time ? new(time.Whole + (isMax ? 999 : 0)) : null,
                // Some writers round to a double on the way: 53 bits.
                Decimal128Type => ColumnValue.Parse(type, text) is { } number ? Widen(number.Whole, isMax) : null,
                _ => ColumnValue.Parse(type, text),
            };
        }

        private static ColumnValue Widen(Int128 value, bool isMax)
        {
            var margin = value < 0 ? -(value >> 50) : value >> 50;
            return new(isMax ? value + margin : value - margin);
        }

        /// <summary>
        /// Long texts may be cut, at the top with a character put on to be above what was cut off. Writers differ in that, so that an upper
        /// bound of such a form is: whatever begins so. No UTF-8 is above the byte 0xFF.
        /// </summary>
        private static byte[] TextBound(string text, bool isMax)
        {
            var kept = isMax ? text.TrimEnd('\uFFFD') : text;
            if (!isMax || (kept.Length == text.Length && text.EnumerateRunes().Count() < TruncatedLength)) return Encoding.UTF8.GetBytes(text);
            return [.. Encoding.UTF8.GetBytes(string.Concat(kept.EnumerateRunes().Take(TruncatedLength))), 0xFF];
        }
    }
}

/// <summary>What is known of a column's values in some rows.</summary>
/// <param name="Min">No value is below it; null: unknown.</param>
/// <param name="Max">No value is above it; null: unknown.</param>
/// <param name="HasNulls">Whether there may be some.</param>
/// <param name="HasValues">Whether there may be any.</param>
internal readonly record struct Bounds(ColumnValue? Min, ColumnValue? Max, bool HasNulls, bool HasValues)
{
    public static Bounds Unknown { get; } = new(null, null, HasNulls: true, HasValues: true);
}
