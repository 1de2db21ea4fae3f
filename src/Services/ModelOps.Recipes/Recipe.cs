namespace ModelOps.Recipes;

/// <summary>What is trained.</summary>
public enum TrainingMethod
{
    /// <summary>A low-rank update beside frozen weights (Hu et al. 2021).</summary>
    Lora,

    /// <summary>The same beside weights that are kept in four bits, NF4 (Dettmers et al. 2023).</summary>
    Qlora,

    /// <summary>Every weight.</summary>
    Full,

    /// <summary>Every weight, on plain texts instead of conversations.</summary>
    Pretrain,
}

/// <summary>What pretraining begins with.</summary>
public enum WeightInitialization
{
    /// <summary>The base's weights: it is trained on.</summary>
    Base,

    /// <summary>Random weights of the base's shape, drawn by the seed.</summary>
    Random,
}

/// <summary>Which tokens the model is to learn to write.</summary>
public enum LearnedTokens
{
    Assistant,
    All,
}

public enum ComputeDevice
{
    Cpu,
    Cuda,
}

/// <summary>What the user wants of training. Null is "auto": chosen from data, model and machine, and recorded as what it became.</summary>
/// <remarks><see cref="RecipeFields"/> has the names, ranges and defaults that a recipe file is read by.</remarks>
public sealed record Recipe
{
    public const int DefaultSeed = 42;

    public TrainingMethod Method { get; init; }

    /// <summary>Of <see cref="TrainingMethod.Pretrain"/>.</summary>
    public WeightInitialization Initialization { get; init; }

    /// <summary>How often every row is learned from.</summary>
    public int? Epochs { get; init; }

    /// <summary>Training stops after so many updates, even inside an epoch.</summary>
    public int? MaxSteps { get; init; }

    /// <summary>Rows of <see cref="SequenceLength"/> tokens that go through the model at once.</summary>
    public int? BatchSize { get; init; }

    /// <summary>Batches whose gradients add up to one update.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>Tokens per row. A longer example is cut, and counted.</summary>
    public int? SequenceLength { get; init; }

    /// <summary>Whether short examples share a row; they never see each other.</summary>
    public bool Packing { get; init; } = true;

    public LearnedTokens TrainOn { get; init; }

    /// <summary>NEFTune (Jain et al. 2023): uniform noise of this size over √(length · width) on the embeddings.</summary>
    public double NeftuneAlpha { get; init; }

    /// <summary>The highest rate of the schedule.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Factor of that rate, chosen or given.</summary>
    public double LearningRateMultiplier { get; init; } = 1;

    /// <summary>What is made small; as an <see cref="AlgorithmChoice"/> is written.</summary>
    public string Loss { get; init; } = "cross_entropy";

    /// <summary>As an <see cref="AlgorithmChoice"/> is written.</summary>
    public string Optimizer { get; init; } = "adamw";

    /// <summary>As an <see cref="AlgorithmChoice"/> is written.</summary>
    public string Schedule { get; init; } = "cosine";

    /// <summary>Share of the steps in which the rate rises from zero.</summary>
    public double WarmupRatio { get; init; } = 0.05;

    /// <summary>Share of the steps in which the schedule wsd falls.</summary>
    public double DecayRatio { get; init; } = 0.2;

    /// <summary>Decoupled (Loshchilov and Hutter 2019); on matrices only.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this L2 norm.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Decay rate of AdamW's second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    public int? Rank { get; init; }

    /// <summary>The update is scaled by alpha / rank, or alpha / √rank with <see cref="Rslora"/>.</summary>
    public double? Alpha { get; init; }

    /// <summary>Share of an update's inputs that a step leaves out.</summary>
    public double Dropout { get; init; }

    /// <summary><c>all-linear</c>, or names of projections separated by commas.</summary>
    public string TargetModules { get; init; } = "all-linear";

    /// <summary>Rank-stabilized scale (Kalajdzievski 2023).</summary>
    public bool Rslora { get; init; }

    /// <summary>Weight-decomposed update (Liu et al. 2024).</summary>
    public bool Dora { get; init; }

    /// <summary>Steps between two measurements on the validation rows.</summary>
    public int? ValidateEvery { get; init; }

    /// <summary>Training stops after so many measurements without a lower loss, and takes the best; null: it does not.</summary>
    public int? Patience { get; init; }

    /// <summary>Answers that the model writes to validation prompts whenever it is measured.</summary>
    public int Samples { get; init; }

    /// <summary>Least seconds between two checkpoints.</summary>
    public double CheckpointSeconds { get; init; } = 30;

    /// <summary>Whether activations are computed again in the backward pass instead of kept (Chen et al. 2016): less memory, a third more work.</summary>
    public bool? GradientCheckpointing { get; init; }

    public ComputeDevice Device { get; init; }

    /// <summary>For first values, order of rows, dropout and noise. The same seed gives the same losses to the last bit on one machine.</summary>
    public int Seed { get; init; } = DefaultSeed;
}
