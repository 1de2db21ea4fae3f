using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Apache.Arrow;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// Rows divided by a number that their id gives, position = first 64 bits / 2^64: validation below 0.05, test below 0.10, train above.
/// So a row's split depends on its content alone and adding rows moves none, with one exception: a small dataset may have no row below
/// 0.05. If it has at least 20 rows, the row with the least position is then lent to validation; it returns to its own split in the
/// version in which another row takes its place.
/// </summary>
internal sealed class SplitRows : IDisposable
{
    private const long LeastRowsToLend = 20;
    private const double ValidationShare = 0.05;
    private const double TestShare = 0.05;

    private readonly Dictionary<string, RowStage> stages =
        DatasetTables.Splits.ToDictionary(split => split, _ => new RowStage(), StringComparer.Ordinal);

    // The row with the least position while validation has none of its own: staged once it is known where it belongs.
    private (SftRow Row, double Position)? lent;

    public long Rows { get; private set; }

    public void Add(SftRow row, ReadOnlySpan<byte> id)
    {
        Rows++;
        var position = BinaryPrimitives.ReadUInt64BigEndian(id) / (ulong.MaxValue + 1.0);
        if (position < ValidationShare || stages[DatasetTables.Validation].Rows > 0)
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
    }

    /// <summary>Ends adding.</summary>
    /// <returns>Per split.</returns>
    public IReadOnlyDictionary<string, StagedRows> Complete()
    {
        if (lent is { } row && Rows >= LeastRowsToLend) stages[DatasetTables.Validation].Add(row.Row);
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

    private void Stage(SftRow row, double position) => stages[SplitOf(position)].Add(row);

    private static string SplitOf(double position) => position switch
    {
        < ValidationShare => DatasetTables.Validation,
        < ValidationShare + TestShare => DatasetTables.Test,
        _ => DatasetTables.Train,
    };
}

/// <summary>Rows of one split, gathered into batches and staged.</summary>
internal sealed class RowStage : IDisposable
{
    private const int BatchRows = 1000;
    private const int BatchCharacters = 4 << 20;

    private readonly StagedRows staged = new(DatasetTables.Schema);
    private readonly List<SftRow> pending = [];
    private int characters;

    public long Rows => staged.Rows + pending.Count;

    public void Add(SftRow row)
    {
        pending.Add(row);
        characters += row.Messages.Sum(message => message.Content.Length);
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
        using var batch = ToBatch(pending);
        staged.Write(batch);
        pending.Clear();
        characters = 0;
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the batch owns its columns")]
    private static RecordBatch ToBatch(List<SftRow> rows)
    {
        var (ids, lines) = (new StringArray.Builder(), new Int64Array.Builder());
        var (offsets, roles, contents) = (new ArrowBuffer.Builder<int>(), new StringArray.Builder(), new StringArray.Builder());
        foreach (var row in rows)
        {
            ids.Append(row.Id);
            lines.Append(row.SourceLine);
            offsets.Append(contents.Length);
            foreach (var message in row.Messages)
            {
                roles.Append(message.Role);
                contents.Append(message.Content);
            }
        }
        offsets.Append(contents.Length);
        var messages = new StructArray(DatasetTables.Message, contents.Length, [roles.Build(), contents.Build()], ArrowBuffer.Empty);
        var listType = DatasetTables.Schema.GetFieldByName("messages").DataType;
        var lists = new ListArray(listType, rows.Count, offsets.Build(), messages, ArrowBuffer.Empty);
        return new(DatasetTables.Schema, [ids.Build(), lists, lines.Build()], rows.Count);
    }
}
