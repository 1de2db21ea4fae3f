using System.Globalization;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Partition values stand in the log as text and come back as columns of their type.</summary>
public sealed class PartitionedTableTests : IDisposable
{
    private readonly TestTables tables = new();

    public void Dispose() => tables.Dispose();

    [Theory]
    [InlineData("string", "a/b é", "a/b é")]
    [InlineData("byte", "-128", "-128")]
    [InlineData("short", "-32768", "-32768")]
    [InlineData("integer", "7", "7")]
    [InlineData("long", "-9000000000", "-9000000000")]
    [InlineData("float", "1.5", "1.5")]
    [InlineData("double", "-1E+30", "-1E+30")]
    [InlineData("boolean", "true", "True")]
    [InlineData("date", "1969-12-31", "1969-12-31")]
    [InlineData("timestamp", "2020-01-02 03:04:05.123456", "2020-01-02T03:04:05.123456Z")]
    [InlineData("timestamp", "2020-01-02T03:04:05.123456Z", "2020-01-02T03:04:05.123456Z")]
    [InlineData("decimal(10,3)", "-12.34", "-12.340")]
    [InlineData("integer", "", null)]
    [InlineData("string", null, null)]
    public async Task Read_PartitionValue_IsAColumnOfItsType(string type, string? text, string? expected)
    {
        var table = await TableAsync(type, text);
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(cancellationToken: TestTables.Cancel), TestTables.Cancel))
            using (batch)
            {
                Assert.Equal([1L, 2L, 3L], ((Int64Array)batch.Column(0)).Values.ToArray());
                for (var row = 0; row < 3; row++) Assert.Equal(expected, Render(batch.Column(1), row));
            }
    }

    [Theory]
    [InlineData("integer", "seven")]
    [InlineData("byte", "128")]
    [InlineData("date", "yesterday")]
    [InlineData("decimal(4,1)", "1.23")]
    [InlineData("boolean", "2")]
    public async Task Read_PartitionValueOfAnotherType_IsRefused(string type, string text)
    {
        var table = await TableAsync(type, text);
        var snapshot = await table.SnapshotAsync(cancellationToken: TestTables.Cancel);
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.ReadAsync(snapshot, TestTables.Cancel).ToListAsync(TestTables.Cancel).AsTask());
        Assert.Contains($"'{text}' is no value of partition column part", error.Message, StringComparison.Ordinal);
    }

    /// <summary>A table of one file with three ids, made by hand on top of one that we write.</summary>
    private async Task<DeltaTable> TableAsync(string type, string? text)
    {
        var schema = new Schema([new Field("id", Int64Type.Default, nullable: false)], metadata: null);
        var table = (await DeltaTable.CreateAsync(tables.Store, "t", schema, cancellationToken: TestTables.Cancel))!;
        using var staged = new StagedRows(schema);
        using var batch = new RecordBatch(schema, [new Int64Array.Builder().AppendRange([1, 2, 3]).Build()], 3);
        staged.Write(batch);
        await table.AppendAsync(staged, cancellationToken: TestTables.Cancel);

        var create = await tables.TextAsync(TestTables.LogKey(0));
        await tables.PutAsync(TestTables.LogKey(0), create
            .Replace("\\u0022metadata\\u0022:{}}]", $"\\u0022metadata\\u0022:{{}}}},{{\\\"name\\\":\\\"part\\\",\\\"type\\\":\\\"{type}\\\",\\\"nullable\\\":true,\\\"metadata\\\":{{}}}}]", StringComparison.Ordinal)
            .Replace("\"partitionColumns\":[]", "\"partitionColumns\":[\"part\"]", StringComparison.Ordinal));
        var append = await tables.TextAsync(TestTables.LogKey(1));
        var value = text is null ? "null" : $"\"{text}\"";
        await tables.PutAsync(TestTables.LogKey(1), append.Replace("\"partitionValues\":{}", $"\"partitionValues\":{{\"part\":{value}}}", StringComparison.Ordinal));
        return table;
    }

    private static string? Render(IArrowArray column, int row) => column.IsNull(row) ? null : column switch
    {
        StringArray values => values.GetString(row),
        BooleanArray values => values.GetValue(row)!.Value.ToString(),
        Date32Array values => values.GetDateOnly(row)!.Value.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        TimestampArray values => values.GetTimestamp(row)!.Value.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture),
        Decimal128Array values => values.GetString(row),
        Int8Array values => $"{values.GetValue(row)}",
        Int16Array values => $"{values.GetValue(row)}",
        Int32Array values => $"{values.GetValue(row)}",
        Int64Array values => $"{values.GetValue(row)}",
        FloatArray values => $"{values.GetValue(row)}",
        DoubleArray values => $"{values.GetValue(row)}",
        _ => throw new InvalidOperationException($"{column.Data.DataType.Name} is not rendered"),
    };
}
