using Apache.Arrow;
using ModelOps.Data.Tests.Registry;
using ModelOps.Storage;
using ModelOps.Tables.Delta;
using ModelOps.Tables.Evaluations;

namespace ModelOps.Data.Tests.Evaluations;

public sealed class EvaluationTableTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly FileObjectStore store;

    public EvaluationTableTests() => store = new(folder.Path);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task WriteAsync_TwoModels_AreColumnsSideBySide()
    {
        var written = await WriteAsync("job-1", compared: true);

        Assert.Equal("evaluations/job-1", written.Path);
        using var batch = Assert.Single(await ReadAsync(written));
        Assert.Equal(["row", "id", "prompt", "reference", "answer", "loss", "base_answer", "base_loss"], batch.Schema.FieldsList.Select(field => field.Name));
        Assert.Equal([0L, 1], Enumerable.Range(0, 2).Select(row => ((Int64Array)batch.Column("row")).GetValue(row)!.Value));
        Assert.Equal("""[{"role":"user","content":"say \u0022a\u0022"}]""", ((StringArray)batch.Column("prompt")).GetString(0));
        Assert.Equal("A", ((StringArray)batch.Column("answer")).GetString(0));
        Assert.Null(((StringArray)batch.Column("base_answer")).GetString(0));
        Assert.Equal(0.5, ((DoubleArray)batch.Column("loss")).GetValue(0));
        Assert.Null(((DoubleArray)batch.Column("loss")).GetValue(1)); // not measured there
    }

    [Fact]
    public async Task WriteAsync_AgainForTheSameJob_StaysAsItIs()
    {
        var first = await WriteAsync("job-1", compared: false);
        var again = await WriteAsync("job-1", compared: false);

        Assert.Equal(first, again);
        Assert.Equal(5, Assert.Single(await ReadAsync(again)).ColumnCount - 1);
    }

    private Task<WrittenTable> WriteAsync(string job, bool compared)
    {
        EvaluatedRow[] rows =
        [
            new("r0", [new("user", "say \"a\"")], "a", new("A", Metrics(0.5)), compared ? new(null, Metrics(0.75)) : null),
            new("r1", [new("user", "say b")], "b", new("B", Metrics()), compared ? new("b", Metrics(1)) : null),
        ];
        return EvaluationTable.WriteAsync(store, job, ["loss"], rows, compared, Cancellation);
    }

    private async Task<List<RecordBatch>> ReadAsync(WrittenTable written)
    {
        var table = await DeltaTable.OpenAsync(store, written.Path, cancellationToken: Cancellation);
        return await table!.ReadAsync(await table.SnapshotAsync(written.Version, Cancellation), Cancellation).ToListAsync(Cancellation);
    }

    private static Dictionary<string, double> Metrics(params double[] loss) => loss.ToDictionary(_ => "loss");
}
