using System.Globalization;
using System.Text.Json.Nodes;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Leaving files out is an optimization: a row that a predicate is true for is never lost by it.</summary>
public sealed class FileSkippingTests
{
    private static readonly StructType Pair = new([new Field("a", Int32Type.Default, nullable: true)]);

    private static readonly Schema Schema = new(
        [
            new Field("part", StringType.Default, nullable: true),
            new Field("id", Int64Type.Default, nullable: true),
            new Field("text", StringType.Default, nullable: true),
            new Field("real", DoubleType.Default, nullable: true),
            new Field("day", Date32Type.Default, nullable: true),
            new Field("price", new Decimal128Type(38, 2), nullable: true),
            new Field("time", new TimestampType(TimeUnit.Microsecond, "UTC"), nullable: true),
            new Field("pair", Pair, nullable: true),
        ],
        metadata: null);

    private static readonly string[] Texts = ["", "a", "b", "\uFFFD", "\U0001F600", new string('x', 31), new string('x', 32), new string('x', 33), new string('x', 40) + "\U0001F600", new string('x', 32) + "\uFFFDz"];
    private static readonly string[] Reals = ["-1.5", "0", "2.25", "NaN", "-Infinity", "1E+300"];
    private static readonly string[] Prices = ["-1.25", "0", "7.50", "123456789012345678901234567890.12"];

    [Fact]
    public void MayMatch_AnyFileAndPredicate_NeverLosesARow()
    {
        var random = new Random(11);
        var (left, kept, lost) = (0, 0, new List<string>());
        for (var round = 0; round < 4_000; round++)
        {
            var part = random.Next(4) switch { 0 => null, 1 => "", var some => $"p{some}" };
            using var rows = Rows(random, part);
            var stats = new FileStatistics(Schema.FieldsList.Skip(1).ToList(), indexedColumns: 32);
            stats.Add(Data(rows)); // it shares the rows' columns
            var file = new AddFile("f", new Dictionary<string, string?> { ["part"] = part }, 1, 1, DataChange: true, Weaken(stats.ToJson(), random));
            for (var i = 0; i < 10; i++)
            {
                var text = Condition(random, depth: 2);
                var predicate = Predicate.Parse(text, Schema);
                var matches = RowEvaluation.Of(predicate, rows).Contains(Outcomes.True);
                var mayMatch = FileSkipping.MayMatch(Snapshot(), predicate, file);
                if (matches && !mayMatch) lost.Add($"{text}: {file.Stats}, part {part}");
                if (!matches) _ = mayMatch ? kept++ : left++;
            }
        }
        Assert.Empty(lost);
        Assert.True(left > kept, $"{left} of {left + kept} files without a match were left out"); // it does leave files out
    }

    [Theory]
    [InlineData("""{"numRecords":2,"minValues":{"id":1},"maxValues":{"id":5},"nullCount":{"id":0}}""", "id > 5", false)]
    [InlineData("""{"numRecords":2,"minValues":{"id":1},"maxValues":{"id":5},"nullCount":{"id":0}}""", "id >= 5", true)]
    [InlineData("""{"numRecords":2,"minValues":{"id":1},"maxValues":{"id":5},"nullCount":{"id":0}}""", "id IS NULL", false)]
    [InlineData("""{"numRecords":2,"nullCount":{"id":2}}""", "id IS NOT NULL", false)]
    [InlineData("""{"numRecords":2,"nullCount":{"id":2}}""", "NOT id = 7", false)]
    [InlineData("""{"numRecords":2,"nullCount":{"id":1}}""", "id = 7", true)]
    [InlineData("""{"numRecords":2,"minValues":{"pair":{"a":1}},"maxValues":{"pair":{"a":3}}}""", "pair.a = 4", false)]
    [InlineData("""{"numRecords":1,"maxValues":{"time":"2024-01-01T00:00:00.000Z"}}""", "time > '2024-01-01T00:00:00.000999Z'", false)]
    [InlineData("""{"numRecords":1,"maxValues":{"time":"2024-01-01T00:00:00.000Z"}}""", "time > '2024-01-01T00:00:00.000998Z'", true)] // cut to milliseconds
    [InlineData("""{"numRecords":1,"maxValues":{"real":3}}""", "real > 3", true)] // some writers leave NaN out
    [InlineData("""{"numRecords":1,"minValues":{"real":3}}""", "real < 3", false)]
    [InlineData("""{"numRecords":1,"maxValues":{"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}""", "text = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", true)] // cut, not marked
    [InlineData("""{"numRecords":1,"maxValues":{"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\uFFFD"}}""", "text = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx😀'", true)] // marked too low
    [InlineData("""{"numRecords":1,"maxValues":{"text":"a"}}""", "text = 'b'", false)]
    [InlineData("""{"numRecords":1,"minValues":{"id":"one"},"maxValues":{"id":[2]}}""", "id = 7", true)]
    [InlineData("""{"numRecords":1,"maxValues":{"text":"\ud800"}}""", "text = 'b'", true)]
    [InlineData("[1]", "id = 7", true)]
    [InlineData("{", "id = 7", true)]
    [InlineData(null, "id = 7", true)]
    [InlineData(null, "id = 7 AND FALSE", false)]
    public void MayMatch_Statistics_AreUnderstood(string? stats, string condition, bool expected)
    {
        var file = new AddFile("f", new Dictionary<string, string?>(), 1, 1, DataChange: true, stats);
        Assert.Equal(expected, FileSkipping.MayMatch(Snapshot(), Predicate.Parse(condition, Schema), file));
    }

    private static Snapshot Snapshot() => new(0, default, Schema, new(1, 2), new("x", new("parquet"), ["part"]), []);

    private static RecordBatch Data(RecordBatch rows) =>
        new(new Schema(Schema.FieldsList.Skip(1), metadata: null), rows.Arrays.Skip(1), rows.Length);

    /// <summary>Statistics with some of them missing, as writers leave them out.</summary>
    private static string? Weaken(string stats, Random random)
    {
        if (random.Next(10) == 0) return null;
        var json = JsonNode.Parse(stats)!.AsObject();
        foreach (var name in (string[])["minValues", "maxValues", "nullCount"])
        {
            if (random.Next(10) == 0) json.Remove(name);
            else
                foreach (var column in Schema.FieldsList)
                    if (random.Next(10) == 0) (json[name] as JsonObject)?.Remove(column.Name);
        }
        if (random.Next(10) == 0) json.Remove("numRecords");
        return json.ToJsonString();
    }

    private static RecordBatch Rows(Random random, string? part)
    {
        var length = random.Next(1, 5);
        var (parts, ids, texts, reals) = (new StringArray.Builder(), new Int64Array.Builder(), new StringArray.Builder(), new DoubleArray.Builder());
        var (days, prices, times) = (new Date32Array.Builder(), new Decimal128Array.Builder(new Decimal128Type(38, 2)), new TimestampArray.Builder(new TimestampType(TimeUnit.Microsecond, "UTC")));
        var (members, present) = (new Int32Array.Builder(), new ArrowBuffer.BitmapBuilder());
        var nulls = random.Next(3) == 0 ? 2 : 6; // some files have many
        var center = random.Next(10);
        for (var i = 0; i < length; i++)
        {
            bool IsNull() => random.Next(nulls) == 0;
            _ = string.IsNullOrEmpty(part) ? parts.AppendNull() : parts.Append(part);
            _ = IsNull() ? ids.AppendNull() : ids.Append(center + random.Next(2));
            _ = IsNull() ? texts.AppendNull() : texts.Append(Texts[random.Next(Texts.Length)]);
            _ = IsNull() ? reals.AppendNull() : reals.Append(double.Parse(Reals[random.Next(Reals.Length)], CultureInfo.InvariantCulture));
            _ = IsNull() ? days.AppendNull() : days.Append(new DateOnly(2024, 1, 1 + center));
            if (IsNull()) prices.AppendNull();
            else prices.Append(Prices[random.Next(Prices.Length)]);
            _ = IsNull() ? times.AppendNull() : times.Append(DateTimeOffset.UnixEpoch.AddTicks((center * 10_000) + (random.Next(3) * 10)));
            _ = IsNull() ? members.AppendNull() : members.Append(center);
            present.Append(!IsNull());
        }
        var pair = new StructArray(Pair, length, [members.Build()], present.Build(), nullCount: present.UnsetBitCount);
        return new(Schema, [parts.Build(), ids.Build(), texts.Build(), reals.Build(), days.Build(), prices.Build(), times.Build(), pair], length);
    }

    private static string Condition(Random random, int depth) => depth == 0 || random.Next(3) == 0 ? Comparison(random) : random.Next(3) switch
    {
        0 => $"({Condition(random, depth - 1)} AND {Condition(random, depth - 1)})",
        1 => $"({Condition(random, depth - 1)} OR {Condition(random, depth - 1)})",
        _ => $"NOT ({Condition(random, depth - 1)})",
    };

    private static string Comparison(Random random)
    {
        var (column, value) = random.Next(8) switch
        {
            0 => ("part", $"'p{random.Next(5)}'"),
            1 => ("id", $"{random.Next(12)}"),
            2 => ("text", $"'{Texts[random.Next(Texts.Length)]}'"),
            3 => ("real", $"'{Reals[random.Next(Reals.Length)]}'"),
            4 => ("day", $"'2024-01-{1 + random.Next(11):00}'"),
            5 => ("price", Prices[random.Next(Prices.Length)]),
            6 => ("time", $"'1970-01-01T00:00:00.{random.Next(11):000}{random.Next(3):000}Z'"),
            _ => ("pair.a", $"{random.Next(12)}"),
        };
        return random.Next(8) switch
        {
            0 => $"{column} IS NULL",
            1 => $"{column} IS NOT NULL",
            2 => $"{column} IN ({value}, {value})",
            3 => $"{column} <> {value}",
            4 => $"{column} < {value}",
            5 => $"{column} >= {value}",
            6 => $"{column} NOT IN ({value})",
            _ => $"{column} = {value}",
        };
    }
}
