namespace ModelOps.ModelFiles.Conversion;

/// <summary>How matrices are stored; vectors (norms) are always F32.</summary>
public enum GgufWeightType
{
    F32,
    F16,
    BF16,
}
