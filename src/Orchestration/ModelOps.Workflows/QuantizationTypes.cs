namespace ModelOps.Workflows;

/// <summary>The types that models can be quantized to, by llama.cpp's names: for those who may not load it.</summary>
public static class QuantizationTypes
{
    public const string Default = "Q8_0";

    /// <summary>The most bits first.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        "F32", "F16", "BF16", Default, "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS",
        "Q3_K_L", "Q3_K_M", "Q3_K_S", "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS", "Q2_K", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S",
    ];

    /// <summary>Those that llama.cpp refuses without an importance matrix.</summary>
    public static IReadOnlyList<string> ThatNeedImportance { get; } =
        ["IQ3_XS", "IQ3_XXS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"];
}
