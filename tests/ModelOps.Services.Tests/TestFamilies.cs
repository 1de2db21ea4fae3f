using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests;

/// <summary>A tiny model of each supported kind, with every switch of its family at a value that shows.</summary>
internal static class TestFamilies
{
    public static IReadOnlyDictionary<string, ModelConfig> Configs { get; } = new Dictionary<string, ModelConfig>
    {
        ["llama"] = TestModels.TinyConfig with { TieWordEmbeddings = false, RopeTheta = 500 },
        ["llama-3.1"] = TestModels.TinyConfig with
        {
            RopeTheta = 500,
            RopeScaling = new(RopeScalingKind.Llama3, 8) { OriginalPositions = 64, LowFrequencyFactor = 1, HighFrequencyFactor = 4 },
        },
        ["llama-linear"] = TestModels.TinyConfig with { RopeScaling = new(RopeScalingKind.Linear, 4) },
        ["llama-yarn"] = TestModels.TinyConfig with { RopeScaling = new(RopeScalingKind.Yarn, 4) { OriginalPositions = 128 } },
        ["mistral"] = TestModels.TinyConfig with { Family = ModelFamily.Mistral, TieWordEmbeddings = false },
        ["qwen2"] = TestModels.TinyConfig with { Family = ModelFamily.Qwen2, HeadDimension = 16 },
        ["qwen2-yarn"] = TestModels.TinyConfig with
        {
            Family = ModelFamily.Qwen2,
            HeadDimension = 16,
            RopeTheta = 1000,
            RopeScaling = new(RopeScalingKind.Yarn, 4) { OriginalPositions = 128 },
        },
        ["qwen3"] = TestModels.TinyConfig with { Family = ModelFamily.Qwen3 },
        ["gemma2"] = TestModels.TinyConfig with
        {
            Family = ModelFamily.Gemma2,
            AttentionSoftCap = 5, // of scores up to 10
            FinalSoftCap = 4,
            SlidingWindow = 6,
            LocalLayers = [0],
            QueryScalar = 32,
        },
        ["gemma3"] = TestModels.TinyConfig with
        {
            Family = ModelFamily.Gemma3,
            HiddenSize = 32,
            IntermediateSize = 64,
            HeadDimension = 16,
            KeyValueHeadCount = 1,
            LayerCount = 7,
            SlidingWindow = 6,
            LocalLayers = [0, 1, 2, 3, 4, 6],
            RopeTheta = 100_000,
            LocalRopeTheta = 1_000,
            RopeScaling = new(RopeScalingKind.Linear, 8),
            QueryScalar = 16,
        },
    };

    /// <summary>Kinds that llama.cpp computes otherwise, or only up to the window.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Others { get; } = new Dictionary<string, ModelConfig>
    {
        ["mistral-window"] = TestModels.TinyConfig with { Family = ModelFamily.Mistral, SlidingWindow = 5, LocalLayers = [0, 1] },
        ["qwen2-window"] = TestModels.TinyConfig with { Family = ModelFamily.Qwen2, SlidingWindow = 4, LocalLayers = [1] },
        ["gemma2-scalar"] = Configs["gemma2"] with { QueryScalar = 24 },
    };

    public static ModelConfig Of(string kind) => Configs.TryGetValue(kind, out var config) ? config : Others[kind];
}
