namespace ModelOps.Ggml;

/// <param name="Size">Bytes of the file.</param>
/// <param name="BitsPerWeight">Bits of all tensors by their elements, as the written file has them.</param>
/// <param name="TensorsPerType">By ggml's name of the type, such as q4_K.</param>
/// <param name="Fallbacks">
/// Tensors whose rows the wanted type cannot hold, as llama.cpp reports them. Its recipe for the output layer has q8_0 in such a case to
/// begin with: that is no fallback, and shows in <paramref name="TensorsPerType"/>.
/// </param>
public sealed record QuantizationSummary(
    long Size,
    double BitsPerWeight,
    IReadOnlyDictionary<string, int> TensorsPerType,
    IReadOnlyList<QuantizationFallback> Fallbacks);

/// <summary>A row has to be a whole number of the type's blocks; llama.cpp takes a type with smaller blocks where it is not.</summary>
/// <param name="RowLength">Elements.</param>
/// <param name="BlockSize">Elements of a block of <paramref name="WantedType"/>.</param>
/// <param name="Type">What it became, by ggml's name.</param>
public sealed record QuantizationFallback(string Tensor, long RowLength, int BlockSize, string WantedType, string Type);
