using System.Buffers.Binary;
using System.Runtime.InteropServices;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <param name="Validation">Share of the rows, 0 to 1.</param>
/// <param name="Test">Share of the rows, 0 to 1.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SplitShares(double Validation, double Test);

/// <summary>
/// Rows divided by a number that their id gives, position = first 64 bits / 2^64: validation below its share, then test up to its share, train
/// above. So a row's split depends on its content alone and adding rows moves none, with one exception: a small dataset may have no row in
/// validation. If it has at least 20 rows and validation a share, the row with the least position is then lent to it; it returns to its own split
/// in the version in which another row takes its place.
/// </summary>
internal sealed class SplitRows(DatasetTask task, SplitShares shares) : IDisposable
{
    private const long LeastRowsToLend = 20;

    private readonly Dictionary<string, RowStage> stages =
        DatasetTables.Splits.ToDictionary(split => split, _ => new RowStage(task), StringComparer.Ordinal);

    // The row with the least position while validation has none of its own: staged once it is known where it belongs.
    private (DatasetExample Row, double Position)? lent;

    public long Rows { get; private set; }

    /// <summary>When adding has ended: the row that is lent to validation.</summary>
    public DatasetExample? Lent { get; private set; }

    /// <returns>The split that the row's content puts it in.</returns>
    public string Add(DatasetExample row, ReadOnlySpan<byte> id)
    {
        Rows++;
        var position = BinaryPrimitives.ReadUInt64BigEndian(id) / (ulong.MaxValue + 1.0);
        if (position < shares.Validation || stages[DatasetTables.Validation].Rows > 0)
        {
            StageLent();
            Stage(row, position);
        }
        else if (lent is null || position < lent.Value.Position)
        {
            StageLent();
            lent = (row, position);
        }
        else Stage(row, position);
        return SplitOf(position);
    }

    /// <summary>Ends adding.</summary>
    /// <returns>Per split.</returns>
    public IReadOnlyDictionary<string, StagedRows> Complete()
    {
        if (lent is { } row && Rows >= LeastRowsToLend && shares.Validation > 0)
        {
            Lent = row.Row;
            stages[DatasetTables.Validation].Add(row.Row);
        }
        else StageLent();
        return stages.ToDictionary(stage => stage.Key, stage => stage.Value.Complete(), StringComparer.Ordinal);
    }

    public void Dispose()
    {
        foreach (var stage in stages.Values) stage.Dispose();
    }

    private void StageLent()
    {
        if (lent is { } row) Stage(row.Row, row.Position);
        lent = null;
    }

    private void Stage(DatasetExample row, double position) => stages[SplitOf(position)].Add(row);

    private string SplitOf(double position) =>
        position < shares.Validation ? DatasetTables.Validation
        : position < shares.Validation + shares.Test ? DatasetTables.Test
        : DatasetTables.Train;
}

/// <summary>Rows of one split, gathered into batches and staged.</summary>
internal sealed class RowStage(DatasetTask task) : IDisposable
{
    private const int BatchRows = 1000;
    private const int BatchCharacters = 4 << 20;

    private readonly StagedRows staged = new(task.Schema);
    private readonly List<DatasetExample> pending = [];
    private int characters;

    public long Rows => staged.Rows + pending.Count;

    public void Add(DatasetExample row)
    {
        pending.Add(row);
        characters += row.Content.Texts.Sum(text => text.Length);
        if (pending.Count >= BatchRows || characters >= BatchCharacters) Flush();
    }

    public StagedRows Complete()
    {
        Flush();
        return staged;
    }

    public void Dispose() => staged.Dispose();

    private void Flush()
    {
        if (pending.Count == 0) return;
        using var batch = RowBatches.Build(task, pending);
        staged.Write(batch);
        pending.Clear();
        characters = 0;
    }
}
