namespace ModelOps.Ggml.Native;

/// <summary>Compares <see cref="Tensor"/> with tensors that ggml itself made: its fields have no getters for what a callback needs.</summary>
internal static unsafe class TensorLayout
{
    private const string Name = "layout";

    private static readonly Lazy<int> multiplication = new(Verify);

    /// <summary>ggml's number for the product of two matrices.</summary>
    /// <exception cref="GgmlException">Fields are elsewhere.</exception>
    public static int Multiplication => multiplication.Value;

    private static int Verify()
    {
        const nuint Room = 1 << 14;
        var context = NativeGgml.CreateContext(new GgmlInit { MemorySize = Room });
        if (context == 0) throw new GgmlException("ggml cannot make a context for two small matrices.");
        try
        {
            var left = NativeGgml.NewMatrix(context, GgmlType.F32, 3, 5);
            var right = NativeGgml.NewMatrix(context, GgmlType.F32, 3, 7);
            var product = NativeGgml.SetName(NativeGgml.Multiply(context, left, right), Name);
            var known = product->Type == GgmlType.F32
                && product->Shape[0] == 5 && product->Shape[1] == 7 && product->Shape[2] == 1 && product->Shape[3] == 1
                && product->Strides[0] == sizeof(float) && product->Strides[1] == 5 * sizeof(float)
                && product->Source0 == left && product->Source1 == right
                && product->Data == NativeGgml.Data(product)
                && NativeBuild.Text((nint)product->Name) == Name
                && NativeBuild.Text(NativeGgml.OperationName(product->Operation)) == "MUL_MAT";
            return known ? product->Operation : throw new GgmlException("ggml_tensor is not laid out as in the pinned build.");
        }
        finally
        {
            NativeGgml.FreeContext(context);
        }
    }
}
