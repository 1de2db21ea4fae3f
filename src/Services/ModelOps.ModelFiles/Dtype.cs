namespace ModelOps.ModelFiles;

/// <summary>Element types of the safetensors format whose elements are whole bytes.</summary>
public enum Dtype
{
    Bool,
    U8,
    I8,
    F8E4M3,
    F8E5M2,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

public static class DtypeExtensions
{
    private static readonly Dictionary<string, Dtype> ByName = Enum.GetValues<Dtype>().ToDictionary(Name);

    /// <summary>Bytes of one element.</summary>
    public static int Size(this Dtype dtype) => dtype switch
    {
        Dtype.Bool or Dtype.U8 or Dtype.I8 or Dtype.F8E4M3 or Dtype.F8E5M2 => 1,
        Dtype.I16 or Dtype.U16 or Dtype.F16 or Dtype.BF16 => 2,
        Dtype.I32 or Dtype.U32 or Dtype.F32 => 4,
        Dtype.I64 or Dtype.U64 or Dtype.F64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Not a dtype."),
    };

    /// <summary>The name in a safetensors header, e.g. <c>BF16</c>.</summary>
    public static string Name(this Dtype dtype) => dtype switch
    {
        Dtype.Bool => "BOOL",
        Dtype.F8E4M3 => "F8_E4M3",
        Dtype.F8E5M2 => "F8_E5M2",
        _ => dtype.ToString(),
    };

    /// <summary>The name in a config.json, e.g. <c>bfloat16</c>. Only for types that a model's weights are computed in.</summary>
    public static string TorchName(this Dtype dtype) => dtype switch
    {
        Dtype.F32 => "float32",
        Dtype.F16 => "float16",
        Dtype.BF16 => "bfloat16",
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "A model's dtype is F32, F16 or BF16."),
    };

    public static bool TryParse(string name, out Dtype dtype) => ByName.TryGetValue(name, out dtype);

    public static bool TryParseTorch(string name, out Dtype dtype)
    {
        dtype = name switch { "float16" => Dtype.F16, "bfloat16" => Dtype.BF16, _ => Dtype.F32 };
        return name is "float16" or "bfloat16" or "float32";
    }
}
