using System.Diagnostics.CodeAnalysis;

namespace ModelOps.Ggml;

/// <summary>llama.cpp's file types, with its numbers and names.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The names that files, tools and people use")]
public enum QuantizationType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 7,
    Q5_0 = 8,
    Q5_1 = 9,
    Q2_K = 10,
    Q3_K_S = 11,
    Q3_K_M = 12,
    Q3_K_L = 13,
    Q4_K_S = 14,
    Q4_K_M = 15,
    Q5_K_S = 16,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ2_XXS = 19,
    IQ2_XS = 20,
    Q2_K_S = 21,
    IQ3_XS = 22,
    IQ3_XXS = 23,
    IQ1_S = 24,
    IQ4_NL = 25,
    IQ3_S = 26,
    IQ3_M = 27,
    IQ2_S = 28,
    IQ2_M = 29,
    IQ4_XS = 30,
    IQ1_M = 31,
    BF16 = 32,
}

public static class QuantizationTypeExtensions
{
    /// <summary>Whether llama.cpp refuses the type without an importance matrix: with so few bits every weight cannot count alike.</summary>
    public static bool NeedsImportanceMatrix(this QuantizationType type) => type is
        QuantizationType.IQ2_XXS or QuantizationType.IQ2_XS or QuantizationType.IQ2_S or QuantizationType.IQ2_M
        or QuantizationType.IQ1_S or QuantizationType.IQ1_M or QuantizationType.IQ3_XXS or QuantizationType.IQ3_XS or QuantizationType.Q2_K_S;
}
