using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>A row of the tables that tests of writing use.</summary>
public sealed record Row(long Id, string? Text = null, string? Part = null);

/// <summary>A table of three columns, read back by us and by others.</summary>
internal sealed class WrittenTable(TestTables tables, DeltaTable table)
{
    public static Schema Schema { get; } = new(
        [
            new Field("id", Int64Type.Default, nullable: false),
            new Field("text", StringType.Default, nullable: true),
            new Field("part", StringType.Default, nullable: true),
        ],
        metadata: null);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public DeltaTable Table => table;

    public static async Task<WrittenTable> CreateAsync(
        TestTables tables, bool isPartitioned = false, TimeProvider? clock = null, params (string Name, string Value)[] properties)
    {
        var options = new TableOptions
        {
            PartitionColumns = isPartitioned ? ["part"] : [],
            Properties = properties.ToDictionary(property => property.Name, property => property.Value),
        };
        var table = await DeltaTable.CreateAsync(tables.Store, "t", Schema, options, clock, new Random(1), Cancel);
        return new(tables, table ?? throw new InvalidOperationException("is there"));
    }

    public static RecordBatch Batch(Schema schema, params IReadOnlyList<Row> rows)
    {
        var (ids, texts, parts) = (new Int64Array.Builder(), new StringArray.Builder(), new StringArray.Builder());
        foreach (var row in rows)
        {
            ids.Append(row.Id);
            texts.Append(row.Text);
            parts.Append(row.Part);
        }
        return new(schema, [ids.Build(), texts.Build(), parts.Build()], rows.Count);
    }

    public static async Task<StagedRows> StageAsync(DeltaTable table, params IReadOnlyList<Row> rows)
    {
        var staged = new StagedRows(Schema, StagedRows.OptionsFor(await table.SnapshotAsync(cancellationToken: Cancel)));
        using var batch = Batch(Schema, rows);
        staged.Write(batch);
        return staged;
    }

    public async Task<long> AppendAsync(params IReadOnlyList<Row> rows)
    {
        using var staged = await StageAsync(table, rows);
        return Version(await table.AppendAsync(staged, cancellationToken: Cancel));
    }

    public static long Version(CommitOutcome outcome) => Assert.IsType<CommitOutcome.Committed>(outcome).Version;

    /// <summary>By id; DuckDB reads the same.</summary>
    public async Task<List<Row>> RowsAsync()
    {
        await ForeignReaders.AssertAgreeAsync(tables.Store, table);
        return await RowsAtAsync(version: null);
    }

    public async Task<List<Row>> RowsAtAsync(long? version)
    {
        var rows = new List<Row>();
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(version, Cancel), cancellationToken: Cancel))
        {
            using (batch)
            {
                for (var i = 0; i < batch.Length; i++)
                {
                    rows.Add(new(
                        ((Int64Array)batch.Column("id")).GetValue(i)!.Value, ((StringArray)batch.Column("text")).GetString(i),
                        ((StringArray)batch.Column("part")).GetString(i)));
                }
            }
        }
        return [.. rows.OrderBy(row => row.Id)];
    }

    /// <summary>The actions of a commit, as others see them.</summary>
    public async Task<IReadOnlyList<LogLine>> CommitAsync(long version) =>
        CommitFile.Parse("test", System.Text.Encoding.UTF8.GetBytes(await tables.TextAsync(TestTables.LogKey(version))));
}
