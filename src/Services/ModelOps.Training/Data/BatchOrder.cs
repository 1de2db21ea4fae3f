namespace ModelOps.Training.Data;

/// <summary>Which rows make up the batch of each step: every epoch has all rows once, in an order of its own.</summary>
internal sealed class BatchOrder(IReadOnlyList<PackedRow> rows, int batchSize, int seed)
{
    private int shuffledEpoch = -1;
    private PackedRow[] shuffled = [];

    public int StepsPerEpoch { get; } = (rows.Count + batchSize - 1) / batchSize;

    public IReadOnlyList<PackedRow> BatchOf(int step)
    {
        var (epoch, batch) = Math.DivRem(step, StepsPerEpoch);
        if (epoch != shuffledEpoch) Shuffle(epoch);
        return shuffled.AsSpan(batch * batchSize, Math.Min(batchSize, rows.Count - batch * batchSize)).ToArray();
    }

    private void Shuffle(int epoch)
    {
        shuffled = [.. rows];
        new Random(unchecked(seed * 31 + epoch)).Shuffle(shuffled);
        shuffledEpoch = epoch;
    }
}
