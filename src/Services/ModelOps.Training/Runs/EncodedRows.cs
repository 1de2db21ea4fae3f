using ModelOps.Training.Data;

namespace ModelOps.Training.Runs;

/// <summary>Rows as sequences; those that cannot be used are counted.</summary>
/// <param name="Used">Rows that the sequences are of.</param>
internal sealed record EncodedRows(IReadOnlyList<TrainingSequence> Sequences, int Used, int Truncated, int Skipped, string? FirstSkipReason)
{
    public RowReport Report => new(Used, Truncated, Skipped, FirstSkipReason);

    public int Longest => Sequences.Max(sequence => sequence.Length);

    public static EncodedRows Encode(ExampleEncoder encoder, IReadOnlyList<TrainingExample> rows, CancellationToken cancellationToken)
    {
        List<TrainingSequence> sequences = new(rows.Count);
        var skipped = 0;
        string? reason = null;
        for (var row = 0; row < rows.Count; row++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (encoder.TryEncode(rows[row], out var fault) is { } sequence)
            {
                sequences.Add(sequence);
                continue;
            }
            skipped++;
            reason ??= $"row {row + 1}: {fault}";
        }
        return new(sequences, sequences.Count, 0, skipped, reason);
    }

    /// <summary>Cuts what is longer than <paramref name="length"/>, and leaves out what then has nothing to learn.</summary>
    public EncodedRows Fit(int length)
    {
        var fitting = Sequences.Select(sequence => sequence.Truncate(length)).Where(sequence => sequence.LearnedCount > 0).ToList();
        var lost = Sequences.Count - fitting.Count;
        return new(
            fitting,
            fitting.Count,
            Sequences.Count(sequence => sequence.Length > length) - lost,
            Skipped + lost,
            FirstSkipReason ?? (lost > 0 ? $"in {lost} rows the assistant first speaks after {length} tokens" : null));
    }

    /// <summary>Splits what is longer than <paramref name="length"/>.</summary>
    public EncodedRows Split(int length) => this with { Sequences = [.. Sequences.SelectMany(sequence => sequence.Split(length))] };

    /// <summary>Up to <paramref name="count"/> of the sequences.</summary>
    public IReadOnlyList<TrainingSequence> Sample(int count, int seed)
    {
        var shuffled = Sequences.ToArray();
        new Random(seed).Shuffle(shuffled);
        return shuffled[..Math.Min(count, shuffled.Length)];
    }
}
