namespace ModelOps.ModelFiles.Gguf;

/// <param name="Dimensions">Innermost first, as ggml has them: a PyTorch [rows, columns] is [columns, rows] here.</param>
/// <param name="Offset">Bytes from the start of the file.</param>
/// <param name="Length">Bytes, padding not included.</param>
public sealed record GgufTensorInfo(string Name, GgmlType Type, long[] Dimensions, long Offset, long Length)
{
    public long ElementCount => Length / Type.BlockBytes() * Type.BlockElements();
}

/// <summary>A tensor to be written; its bytes are asked for when its turn comes.</summary>
/// <param name="Dimensions">Innermost first.</param>
/// <param name="WriteTo">Writes exactly the tensor's bytes.</param>
public sealed record GgufTensorSource(string Name, GgmlType Type, long[] Dimensions, Action<Stream> WriteTo);
