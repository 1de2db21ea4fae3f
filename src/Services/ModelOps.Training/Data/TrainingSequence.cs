namespace ModelOps.Training.Data;

/// <summary>A document as tokens.</summary>
/// <param name="Learned">For each token: whether the model is to learn to write it.</param>
public sealed record TrainingSequence(int[] Tokens, bool[] Learned)
{
    public int Length => Tokens.Length;

    /// <summary>Learned tokens that have a token before them to be predicted from.</summary>
    public int LearnedCount => Learned.Skip(1).Count(learned => learned);

    /// <summary>Everything is learned.</summary>
    public static TrainingSequence OfText(int[] tokens) => new(tokens, [.. Enumerable.Repeat(true, tokens.Length)]);

    /// <summary>Pieces of at most <paramref name="length"/> tokens. Each begins with the token that the one before ends with, so that every token is predicted once.</summary>
    public IEnumerable<TrainingSequence> Split(int length)
    {
        for (var start = 0; start == 0 || start + 1 < Length; start += length - 1)
        {
            var end = Math.Min(start + length, Length);
            yield return new(Tokens[start..end], Learned[start..end]);
        }
    }

    /// <summary>The first <paramref name="length"/> tokens.</summary>
    public TrainingSequence Truncate(int length) => Length <= length ? this : new(Tokens[..length], Learned[..length]);
}
