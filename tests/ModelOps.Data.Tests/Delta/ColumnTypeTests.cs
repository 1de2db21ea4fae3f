using System.Diagnostics.CodeAnalysis;
using Apache.Arrow;
using Apache.Arrow.Types;
using DuckDB.NET.Data;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Each type that a table can have, as DuckDB reads the file that we wrote and as we read the table.</summary>
public sealed class ColumnTypeTests : IDisposable
{
    private static readonly StructType Pair = new([new Field("a", Int32Type.Default, nullable: true), new Field("b", StringType.Default, nullable: true)]);
    private readonly TestTables tables = new();

    public void Dispose() => tables.Dispose();

    public static TheoryData<IArrowArray, string, string> Columns => new()
    {
        { new Int8Array.Builder().Append(-128).AppendNull().Build(), "[-128, NULL]", """{"numRecords":2,"minValues":{"c":-128},"maxValues":{"c":-128},"nullCount":{"c":1}}""" },
        { new Int16Array.Builder().Append(-5).Append(9).Build(), "[-5, 9]", """{"numRecords":2,"minValues":{"c":-5},"maxValues":{"c":9},"nullCount":{"c":0}}""" },
        { new Int32Array.Builder().AppendNull().AppendNull().Build(), "[NULL, NULL]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"c":2}}""" },
        { new FloatArray.Builder().Append(1.5f).Append(-2f).Build(), "[1.5, -2.0]", """{"numRecords":2,"minValues":{"c":-2},"maxValues":{"c":1.5},"nullCount":{"c":0}}""" },
        { new DoubleArray.Builder().Append(double.NaN).Append(1).Build(), "[-nan, 1.0]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"c":0}}""" },
        { new DoubleArray.Builder().Append(double.PositiveInfinity).Append(1).Build(), "[inf, 1.0]", """{"numRecords":2,"minValues":{"c":1},"maxValues":{},"nullCount":{"c":0}}""" },
        { new BooleanArray.Builder().Append(true).AppendNull().Build(), "[true, NULL]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"c":1}}""" },
        { new BinaryArray.Builder().Append([0, 255]).AppendNull().Build(), "[\\x00\\xFF, NULL]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"c":1}}""" },
        {
            new Date32Array.Builder().Append(new DateOnly(1969, 12, 31)).Append(new DateOnly(2024, 2, 29)).Build(), "[1969-12-31, 2024-02-29]",
            """{"numRecords":2,"minValues":{"c":"1969-12-31"},"maxValues":{"c":"2024-02-29"},"nullCount":{"c":0}}"""
        },
        {
            new StringArray.Builder().Append("\uFFFD").Append("\U0001F600").Build(), "[\uFFFD, \U0001F600]", // UTF-16 would order them the other way round
            """{"numRecords":2,"minValues":{"c":"\uFFFD"},"maxValues":{"c":"\uD83D\uDE00"},"nullCount":{"c":0}}"""
        },
        {
            new TimestampArray.Builder(new TimestampType(TimeUnit.Microsecond, "UTC")).Append(DateTimeOffset.UnixEpoch.AddTicks(10)).AppendNull().Build(),
            "['1970-01-01 00:00:00.000001+00', NULL]",
            """{"numRecords":2,"minValues":{"c":"1970-01-01T00:00:00.000Z"},"maxValues":{"c":"1970-01-01T00:00:00.001Z"},"nullCount":{"c":1}}"""
        },
        {
            new TimestampArray.Builder(new TimestampType(TimeUnit.Microsecond, (string?)null)).Append(DateTimeOffset.UnixEpoch).AppendNull().Build(),
            "['1970-01-01 00:00:00', NULL]",
            """{"numRecords":2,"minValues":{"c":"1970-01-01T00:00:00.000"},"maxValues":{"c":"1970-01-01T00:00:00.000"},"nullCount":{"c":1}}"""
        },
        {
            new Decimal128Array.Builder(new Decimal128Type(10, 2)).Append(-1.25m).AppendNull().Append(0.05m).Build(), "[-1.25, NULL, 0.05]",
            """{"numRecords":3,"minValues":{"c":-1.25},"maxValues":{"c":0.05},"nullCount":{"c":1}}"""
        },
        { Lists(), "[[1, 2], []]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{}}""" },
        {
            new StructArray(Pair, 2, [new Int32Array.Builder().Append(1).AppendNull().Build(), new StringArray.Builder().Append("x").Append("y").Build()], ArrowBuffer.Empty),
            "[{'a': 1, 'b': x}, {'a': NULL, 'b': y}]",
            """{"numRecords":2,"minValues":{"c":{"a":1,"b":"x"}},"maxValues":{"c":{"a":1,"b":"y"}},"nullCount":{"c":{"a":1,"b":0}}}"""
        },
        { Maps(), "[{k=1}, {}]", """{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{}}""" },
    };

    [Theory]
    [MemberData(nameof(Columns), DisableDiscoveryEnumeration = true)]
    public async Task Append_EachType_IsReadBackByDuckDbAndByUs(IArrowArray column, string expected, string stats)
    {
        var schema = new Schema([new Field("c", column.Data.DataType, nullable: true)], metadata: null);
        var table = (await DeltaTable.CreateAsync(tables.Store, "t", schema, cancellationToken: TestTables.Cancel))!;
        using var staged = new StagedRows(schema);
        using (var batch = new RecordBatch(schema, [column], column.Length)) staged.Write(batch);
        await table.AppendAsync(staged, cancellationToken: TestTables.Cancel);

        var snapshot = await table.SnapshotAsync(cancellationToken: TestTables.Cancel);
        var file = Assert.Single(snapshot.Files);
        Assert.Equal(stats, file.Stats);
        Assert.Equal(expected, DuckDbText(tables.Store.LocalPath($"t/{file.Path}")!));

        // What we read, written again: DuckDB must see the same.
        using var again = new StagedRows(schema);
        await foreach (var batch in table.ReadAsync(snapshot, TestTables.Cancel))
            using (batch)
                again.Write(batch);
        await table.OverwriteAsync(again, cancellationToken: TestTables.Cancel);
        var copy = Assert.Single((await table.SnapshotAsync(cancellationToken: TestTables.Cancel)).Files);
        Assert.Equal(expected, DuckDbText(tables.Store.LocalPath($"t/{copy.Path}")!));
    }

    [Fact]
    public async Task Create_TypeWithoutCounterpart_Throws() =>
        await Assert.ThrowsAsync<ArgumentException>(() => DeltaTable.CreateAsync(
            tables.Store, "t", new([new Field("c", UInt64Type.Default, nullable: true)], metadata: null), cancellationToken: TestTables.Cancel));

    [SuppressMessage("Security", "CA2100", Justification = "the path is this test's own")]
    private static string DuckDbText(string path)
    {
        using var connection = new DuckDBConnection("DataSource=:memory:");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"SET TimeZone = 'UTC'; SELECT list(c)::VARCHAR FROM read_parquet('{path}')";
        return (string)command.ExecuteScalar()!;
    }

    private static ListArray Lists()
    {
        var lists = new ListArray.Builder(new Field("element", Int64Type.Default, nullable: true));
        lists.Append();
        ((Int64Array.Builder)lists.ValueBuilder).Append(1).Append(2);
        lists.Append();
        return lists.Build();
    }

    private static MapArray Maps()
    {
        var type = new MapType(new Field("key", StringType.Default, nullable: false), new Field("value", Int32Type.Default, nullable: true));
        var maps = new MapArray.Builder(type);
        maps.Append();
        ((StringArray.Builder)maps.KeyBuilder).Append("k");
        ((Int32Array.Builder)maps.ValueBuilder).Append(1);
        maps.Append();
        return maps.Build();
    }
}
