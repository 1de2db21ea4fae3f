using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// The values of partition columns as the log's text (PROTOCOL.md, "Partition Value Serialization") and as folders in the way of Hive. Only
/// the text counts for readers; the folders are for people who look.
/// </summary>
internal static class PartitionPath
{
    private const string NullFolder = "__HIVE_DEFAULT_PARTITION__";
    private const int MaxValueBytes = 120; // a folder's name has at most 255 bytes, the column's own name and '%XX' among them
    private const string Escaped = "\"#%'*/:=?\\{}[]^<>|";

    /// <returns>null: the value is null.</returns>
    /// <exception cref="ArgumentException">The value has no text.</exception>
    public static string? Text(IArrowArray column, int row, string name)
    {
        if (column.IsNull(row)) return null;
        var text = TextOf(column, row, name);
        return text.Length > 0
            ? text
            : throw new ArgumentException($"partition column {name} has an empty text, which Delta cannot tell from null; write null", nameof(column));
    }

    /// <summary>Of a value that is not null.</summary>
    /// <exception cref="ArgumentException">Values of such a type have no text.</exception>
    public static string TextOf(IArrowArray column, int row, string name) => column switch
    {
        StringArray values => values.GetString(row),
        BinaryArray values => Encoding.Latin1.GetString(values.GetBytes(row)),
        BooleanArray values => values.GetValue(row)!.Value ? "true" : "false",
        Int8Array values => $"{values.GetValue(row)}",
        Int16Array values => $"{values.GetValue(row)}",
        Int32Array values => $"{values.GetValue(row)}",
        Int64Array values => $"{values.GetValue(row)}",
        FloatArray values => values.GetValue(row)!.Value.ToString("R", CultureInfo.InvariantCulture),
        DoubleArray values => values.GetValue(row)!.Value.ToString("R", CultureInfo.InvariantCulture),
        Date32Array values => $"{values.GetDateOnly(row):yyyy-MM-dd}",
        TimestampArray values => Time(values, row),
        Decimal128Array values => values.GetString(row),
        _ => throw new ArgumentException($"column {name} of type {column.Data.DataType.Name} can neither divide a table nor be a key", nameof(column)),
    };

    /// <summary>The folders of a file: 'day=2020-01-02/country=a%2Fb/'; empty where the table has no partitions.</summary>
    public static string Folder(IReadOnlyDictionary<string, string?> values) =>
        string.Concat(values.Select(value => $"{Escape(value.Key)}={(value.Value is null ? NullFolder : Short(Escape(value.Value)))}/"));

    /// <summary>As the log writes it: a relative URI.</summary>
    public static string ToUri(string path) =>
        string.Join('/', path.Split('/').Select(segment => Uri.EscapeDataString(segment).Replace("%3D", "=", StringComparison.Ordinal)));

    private static string Time(TimestampArray values, int row)
    {
        var ticks = DateTime.UnixEpoch.Ticks + (values.GetValue(row)!.Value * TimeSpan.TicksPerMicrosecond);
        var time = new DateTime(ticks, DateTimeKind.Utc);
        return ((TimestampType)values.Data.DataType).Timezone is null
            ? time.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture)
            : time.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);
    }

    private static string Escape(string text) =>
        string.Concat(text.Select(c => char.IsControl(c) || Escaped.Contains(c, StringComparison.Ordinal) ? $"%{(int)c:X2}" : $"{c}"));

    private static string Short(string value) => Encoding.UTF8.GetByteCount(value) <= MaxValueBytes && value is not ("." or "..")
        ? value
        : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(value)).AsSpan(0, 16));
}
