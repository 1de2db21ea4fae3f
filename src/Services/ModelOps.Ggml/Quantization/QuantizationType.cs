using System.Diagnostics.CodeAnalysis;

namespace ModelOps.Ggml;

/// <summary>llama.cpp's file types, with its numbers and names.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The names that files, tools and people use")]
public enum QuantizationType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q8_0 = 7,
    Q4_K_M = 15,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ4_NL = 25,
    BF16 = 32,
}
