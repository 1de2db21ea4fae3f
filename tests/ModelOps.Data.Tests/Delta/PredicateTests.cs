using System.Globalization;
using Apache.Arrow;
using Apache.Arrow.Types;
using DuckDB.NET.Data;
using ModelOps.Tables.Delta;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Conditions as DuckDB understands them, on the same rows.</summary>
public sealed class PredicateTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");
    private readonly RecordBatch batch = Rows();

    public void Dispose()
    {
        batch.Dispose();
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("id > 1")]
    [InlineData("2 <= id AND id < 4")]
    [InlineData("NOT id = 3")]
    [InlineData("id <> 3 OR id IS NULL")]
    [InlineData("id IN (1, 4) AND id NOT IN (4)")]
    [InlineData("NOT (id IN (1, 2) OR text = 'b')")]
    [InlineData("id BETWEEN 2 AND 3")]
    [InlineData("id NOT BETWEEN 2 AND 3")]
    [InlineData("text >= 'b'")]
    [InlineData("text = 'it''s'")]
    [InlineData("text IS NOT NULL AND (text < 'b' OR text > 'c')")]
    [InlineData("real > 1.5")]
    [InlineData("real = 'NaN'")]
    [InlineData("NOT real <= 1.5")]
    [InlineData("day >= DATE '2024-02-29'")]
    [InlineData("price = 1.25")]
    [InlineData("price < -1")]
    [InlineData("flag")]
    [InlineData("NOT flag")]
    [InlineData("flag = FALSE")]
    [InlineData("pair.a = 1")]
    [InlineData("pair.a IS NULL")]
    [InlineData("pair IS NULL")]
    [InlineData("pair.a <> 1 OR TRUE AND FALSE")]
    [InlineData("\"id\" = 1")]
    public void Evaluate_Condition_IsWhatDuckDbSays(string condition)
    {
        var ours = Outcomes(Predicate.Parse(condition, batch.Schema).Evaluate(batch));
        Assert.Equal(DuckDb(condition), ours);
        Assert.Contains(ours, outcome => outcome != ours[0]); // it tells rows apart, so that the comparison says something
    }

    [Fact]
    public void Evaluate_SlicedBatch_LooksAtTheSliceOnly()
    {
        using var slice = batch.Slice(1, 3);
        foreach (var condition in (string[])["id > 2", "pair.a = 1", "flag", "price = 1.25", "text IS NULL", "real > 1"])
            Assert.Equal(Outcomes(Predicate.Parse(condition, batch.Schema).Evaluate(batch)).Skip(1).Take(3), Outcomes(Predicate.Parse(condition, slice.Schema).Evaluate(slice)));
    }

    [Fact]
    public void Evaluate_ValueBeyondTheType_ComparesAsANumber()
    {
        Assert.Equal(["True", "True", null, "True", "True"], Outcomes(Predicate.Parse("small < 1000", batch.Schema).Evaluate(batch)));
        Assert.Equal(["True", "True", null, "True", "True"], Outcomes(Predicate.Parse("small > -99999999999999999999", batch.Schema).Evaluate(batch)));
    }

    [Theory]
    [InlineData("", "the condition ends where a column should be")]
    [InlineData("id", "the condition ends where a comparison")]
    [InlineData("id >", "the condition ends where a value for id should be")]
    [InlineData("id = 1 id = 2", "at 8: 'id' stands where AND, OR or the end should be")]
    [InlineData("nothing = 1", "there is no column nothing; there are id, small, text, real, day, price, flag, pair")]
    [InlineData("pair.c = 1", "there is no column pair.c; there are a, b")]
    [InlineData("id.x = 1", "there is no column id.x")]
    [InlineData("id = 'one'", "at 6: 'one' is no value of id, which is long")]
    [InlineData("id = 1.5", "at 6: '1.5' is no value of id, which is long")]
    [InlineData("price = 1.2345", "'1.2345' is no value of price, which is decimal(10,2)")]
    [InlineData("day = '2024-02-30'", "'2024-02-30' is no value of day, which is date")]
    [InlineData("text = 5", "write '5' in quotes")]
    [InlineData("text = NULL", "write text IS NULL")]
    [InlineData("pair = 5", "only IS NULL can be asked of it")]
    [InlineData("text = 'open", "at 8: a quote is not closed")]
    [InlineData("id = 1; DROP TABLE t", "at 7: ';' is not understood")]
    [InlineData("(id = 1", "the condition ends where ')' should be")]
    [InlineData("id IN 1", "at 7: '1' stands where '(' should be")]
    [InlineData("id NOT 1", "at 8: '1' stands where IN or BETWEEN should be")]
    public void Parse_NoCondition_SaysWhereAndWhy(string condition, string reason)
    {
        var error = Assert.Throws<FormatException>(() => Predicate.Parse(condition, batch.Schema));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_HostileNesting_IsRefused()
    {
        var error = Assert.Throws<FormatException>(() => Predicate.Parse(new string('(', 100_000) + "id = 1", batch.Schema));
        Assert.Contains("nested more than 100 deep", error.Message, StringComparison.Ordinal);
        Assert.NotNull(Predicate.Parse(string.Join(" OR ", Enumerable.Range(0, 10_000).Select(i => $"id = {i}")), batch.Schema).Evaluate(batch));
    }

    [Fact]
    public void Parse_AnyText_IsAPredicateOrAFormatException()
    {
        var random = new Random(7);
        string[] words = ["id", "text", "pair", ".", "a", "=", "<", ">=", "(", ")", ",", "AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "1", "-2.5e3", "'x'", "`id`", "TRUE", "DATE", "''", "é"];
        var parsed = 0;
        for (var round = 0; round < 20_000; round++)
        {
            var condition = string.Join(' ', Enumerable.Range(0, random.Next(1, 9)).Select(_ => words[random.Next(words.Length)]));
            try
            {
                Assert.Equal(batch.Length, Predicate.Parse(condition, batch.Schema).Evaluate(batch).Length);
                parsed++;
            }
            catch (FormatException)
            {
                continue;
            }
        }
        Assert.InRange(parsed, 50, 10_000);
    }

    private List<string?> DuckDb(string condition)
    {
        var path = Path.Combine(folder.FullName, "rows.parquet");
        using (var writer = new FileWriter(path, batch.Schema))
        {
            writer.WriteRecordBatch(batch);
            writer.Close();
        }
        using var connection = new DuckDBConnection("DataSource=:memory:");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT ({condition}) FROM read_parquet('{path}')";
        using var reader = command.ExecuteReader();
        var outcomes = new List<string?>();
        while (reader.Read()) outcomes.Add(reader.IsDBNull(0) ? null : reader.GetBoolean(0).ToString(CultureInfo.InvariantCulture));
        return outcomes;
    }

    private static List<string?> Outcomes(BooleanArray mask) =>
        [.. Enumerable.Range(0, mask.Length).Select(i => mask.GetValue(i)?.ToString(CultureInfo.InvariantCulture))];

    private static RecordBatch Rows()
    {
        var pair = new StructType([new Field("a", Int32Type.Default, nullable: true), new Field("b", StringType.Default, nullable: true)]);
        IArrowArray[] columns =
        [
            new Int64Array.Builder().Append(1).Append(2).AppendNull().Append(3).Append(4).Build(),
            new Int8Array.Builder().Append(-128).Append(127).AppendNull().Append(0).Append(1).Build(),
            new StringArray.Builder().Append("a").Append("b").Append("it's").AppendNull().Append("c\U0001F600").Build(),
            new DoubleArray.Builder().Append(double.NaN).Append(1.5).Append(double.PositiveInfinity).AppendNull().Append(-0.0).Build(),
            new Date32Array.Builder().Append(new DateOnly(2024, 2, 29)).AppendNull().Append(new DateOnly(1969, 1, 1)).Append(new DateOnly(2025, 1, 1)).Append(new DateOnly(2024, 2, 28)).Build(),
            new Decimal128Array.Builder(new Decimal128Type(10, 2)).Append(1.25m).Append(-7m).AppendNull().Append(1.24m).Append(1.25m).Build(),
            new BooleanArray.Builder().Append(true).Append(false).AppendNull().Append(true).Append(false).Build(),
            new StructArray(
                pair,
                5,
                [new Int32Array.Builder().Append(1).Append(1).AppendNull().Append(2).Append(1).Build(), new StringArray.Builder().Append("x").AppendNull().Append("y").Append("z").Append("x").Build()],
                new ArrowBuffer.BitmapBuilder().Append(true).Append(false).Append(true).Append(true).Append(true).Build(),
                nullCount: 1),
        ];
        string[] names = ["id", "small", "text", "real", "day", "price", "flag", "pair"];
        var schema = new Schema(names.Select((name, i) => new Field(name, columns[i].Data.DataType, nullable: true)), metadata: null);
        return new(schema, columns, 5);
    }
}
