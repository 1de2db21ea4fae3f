namespace ModelOps.Ggml;

/// <summary>
/// How much each column of a model's matrices counts: the squares of what texts multiplied it with. A quantizer then keeps the errors small
/// where they show. By the name of the matrix in the GGUF file.
/// </summary>
/// <param name="Texts">That were computed.</param>
/// <param name="Tokens">Of all texts together.</param>
public sealed record ImportanceMatrix(IReadOnlyDictionary<string, ColumnImportance> Matrices, int Texts, long Tokens);

/// <param name="SumOfSquares">By column: (input).</param>
/// <param name="Count">Rows that were summed.</param>
public sealed record ColumnImportance(float[] SumOfSquares, long Count)
{
    /// <summary>What a quantizer weighs errors with: the mean square of each column's input.</summary>
    public float[] MeanSquares() => Array.ConvertAll(SumOfSquares, sum => sum / Count);
}
