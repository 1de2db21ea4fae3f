using System.Runtime.InteropServices;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;
using static TorchSharp.torch;

namespace ModelOps.Models;

/// <summary>Tensors on their way to files.</summary>
internal static class TensorFiles
{
    /// <summary>An fp32 tensor as it will be stored; it must stay alive until it is written.</summary>
    public static TensorSource Source(string name, Tensor tensor, Dtype dtype) => new(name, dtype, tensor.shape, stream =>
    {
        using var scope = NewDisposeScope();
        var plain = tensor.detach().cpu().contiguous();
        TensorSource.WriteFloats(stream, MemoryMarshal.Cast<byte, float>(plain.bytes), dtype);
    });
}
