namespace ModelOps.ModelFiles.Safetensors;

/// <param name="Shape">Outermost dimension first, as in PyTorch; empty for a scalar.</param>
/// <param name="Offset">Bytes from the start of the file, so that the tensor can be mapped in place.</param>
/// <param name="Length">Bytes.</param>
public sealed record TensorInfo(string Name, Dtype Dtype, long[] Shape, long Offset, long Length)
{
    public long ElementCount => Length / Dtype.Size();

    /// <summary>E.g. <c>BF16 [512, 128]</c>.</summary>
    public string Description => $"{Dtype.Name()} [{string.Join(", ", Shape)}]";
}
