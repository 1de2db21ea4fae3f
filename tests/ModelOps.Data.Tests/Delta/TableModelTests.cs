using Apache.Arrow;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Any sequence of operations leaves the rows that the same operations leave of a list, in every version, with checkpoints between.</summary>
public sealed class TableModelTests : IDisposable
{
    private const int Operations = 24;
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => tables.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    [InlineData(3, true)]
    public async Task AnyOperations_EveryVersion_HasTheRowsOfAList(int seed, bool isPartitioned)
    {
        var random = new Random(seed);
        var table = await WrittenTable.CreateAsync(
            tables, isPartitioned, properties: [("delta.checkpointInterval", "5"), ("delta.enableChangeDataFeed", isPartitioned ? "true" : "false")]);
        var versions = new List<List<Row>> { new() };
        var id = 0L;
        while (versions.Count <= Operations)
        {
            var rows = versions[^1].ToList();
            var (outcome, after) = await OperateAsync(random, table, versions, rows, () => id++);
            if (outcome is CommitOutcome.Unchanged)
            {
                Assert.Equal(rows.OrderBy(row => row.Id), after.OrderBy(row => row.Id));
                continue;
            }
            Assert.Equal(versions.Count, WrittenTable.Version(outcome));
            versions.Add([.. after.OrderBy(row => row.Id)]);
        }
        Assert.Equal(versions[^1], await table.RowsAsync());
        for (var version = 0; version < versions.Count; version++) Assert.Equal(versions[version], await table.RowsAtAsync(version));
    }

    private static async Task<(CommitOutcome Outcome, List<Row> After)> OperateAsync(
        Random random, WrittenTable table, List<List<Row>> versions, List<Row> rows, Func<long> nextId)
    {
        var part = random.Next(4) == 0 ? null : $"p{random.Next(3)}";
        var bound = random.Next(1, 30);
        switch (random.Next(8))
        {
            case 0:
                return (await table.Table.DeleteAsync($"id < {bound}", cancellationToken: Cancel), [.. rows.Where(row => row.Id >= bound)]);
            case 1:
                var set = new Dictionary<string, ColumnUpdate> { ["text"] = changed => Texts(changed.Length) };
                return (await table.Table.UpdateAsync($"id >= {bound} AND part IS NOT NULL", set, cancellationToken: Cancel),
                    [.. rows.Select(row => row.Id >= bound && row.Part is not null ? row with { Text = "set" } : row)]);
            case 2:
                var source = rows.Where(_ => random.Next(3) == 0).Select(row => row with { Text = "merged", Part = part })
                    .Append(new(nextId(), "inserted", part)).ToList();
                using (var staged = await WrittenTable.StageAsync(table.Table, source))
                    return (await table.Table.MergeAsync(staged, new() { Keys = ["id"] }, cancellationToken: Cancel), [.. rows.ExceptBy(source.Select(row => row.Id), row => row.Id), .. source]);
            case 3:
                return (await table.Table.OptimizeAsync(cancellationToken: Cancel), rows);
            case 4:
                var version = random.Next(versions.Count);
                return (await table.Table.RestoreAsync(version, cancellationToken: Cancel), versions[version]);
            case 5 when part is not null:
                var replacing = New(random, nextId, part);
                using (var staged = await WrittenTable.StageAsync(table.Table, replacing))
                    return (await table.Table.OverwriteAsync(staged, $"part = '{part}'", cancellationToken: Cancel), [.. rows.Where(row => row.Part != part), .. replacing]);
            default:
                var added = New(random, nextId, part);
                using (var staged = await WrittenTable.StageAsync(table.Table, added))
                    return (await table.Table.AppendAsync(staged, cancellationToken: Cancel), [.. rows, .. added]);
        }
    }

    private static List<Row> New(Random random, Func<long> nextId, string? part) =>
        [.. Enumerable.Range(0, random.Next(1, 6)).Select(i => new Row(nextId(), random.Next(3) == 0 ? null : $"text {i}", part))];

    private static StringArray Texts(int count)
    {
        var texts = new StringArray.Builder();
        for (var i = 0; i < count; i++) texts.Append("set");
        return texts.Build();
    }
}
