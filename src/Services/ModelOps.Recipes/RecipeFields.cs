namespace ModelOps.Recipes;

/// <summary>One key of a recipe: its name, what it takes, and how it gets there.</summary>
/// <param name="Summary">One sentence for people.</param>
/// <param name="Default">As it would be written in a recipe; <c>auto</c> for what is chosen.</param>
/// <param name="DefaultRule">How <c>auto</c> is chosen; null where the default is a value.</param>
internal sealed record RecipeField(
    string Name, RecipeValue Value, string Summary, string Default, Func<Recipe, object, Recipe> Set, string? DefaultRule = null)
{
    public bool TakesAuto => Default == RecipeFields.Auto;

    /// <summary>The methods that it says something of.</summary>
    /// <value>By default all.</value>
    public IReadOnlyList<TrainingMethod> Methods { get; init; } = Enum.GetValues<TrainingMethod>();
}

/// <summary>The keys of a recipe. Reading, the JSON schema and the table in the documentation all come from here.</summary>
internal static class RecipeFields
{
    public const string Auto = "auto";

    private const int Million = 1_000_000;

    private static readonly TrainingMethod[] ofUpdate = [TrainingMethod.Lora, TrainingMethod.Qlora];
    private static readonly TrainingMethod[] ofConversations = [.. ofUpdate, TrainingMethod.Full];

    public static IReadOnlyList<RecipeField> All { get; } =
    [
        new("method", RecipeValue.OneOf<TrainingMethod>(), "What is trained: a low-rank update, the same over four-bit weights, or every weight; pretrain: every weight, on texts.", "lora",
            (recipe, value) => recipe with { Method = (TrainingMethod)value }),
        new("initialization", RecipeValue.OneOf<WeightInitialization>(), "Where pretraining begins: with the base's weights, or with random ones of its shape.", "base",
            (recipe, value) => recipe with { Initialization = (WeightInitialization)value }) { Methods = [TrainingMethod.Pretrain] },
        new("epochs", RecipeValue.Whole(1, 10_000), "How often every row is learned from.", Auto,
            (recipe, value) => recipe with { Epochs = (int)value }, "enough for about 150 steps, from 3 to 10, and one for pretrain; where only max_steps is given, as many as they take"),
        new("max_steps", RecipeValue.Whole(1, 100 * Million), "Updates after which training stops, even inside an epoch.", Auto,
            (recipe, value) => recipe with { MaxSteps = (int)value }, "all of the epochs"),
        new("batch_size", RecipeValue.Whole(1, 65_536), "Rows that go through the model at once.", Auto,
            (recipe, value) => recipe with { BatchSize = (int)value }, "a sixteenth of the rows, from 1 to 8"),
        new("accumulation", RecipeValue.Whole(1, 65_536), "Batches whose gradients add up to one update.", "1",
            (recipe, value) => recipe with { Accumulation = (int)value }),
        new("sequence_length", RecipeValue.Whole(8, Million), "Tokens per row; a longer conversation is cut, and counted, a longer text goes on in other rows.", Auto,
            (recipe, value) => recipe with { SequenceLength = (int)value }, "the longest example, from 256 to 2048, within what the model was made for"),
        new("packing", RecipeValue.Flag(), "Whether short examples share a row; they never see each other.", "true",
            (recipe, value) => recipe with { Packing = (bool)value }),
        new("train_on", RecipeValue.OneOf<LearnedTokens>(), "Which tokens of a conversation are learned: what the assistant says, or all.", "assistant",
            (recipe, value) => recipe with { TrainOn = (LearnedTokens)value }) { Methods = ofConversations },
        new("neftune_alpha", RecipeValue.Number(0, 100), "Noise on the embeddings (NEFTune); 0: none.", "0",
            (recipe, value) => recipe with { NeftuneAlpha = (double)value }),
        new("learning_rate", RecipeValue.Number(0, 1, leastExcluded: true), "The highest rate of the schedule.", Auto,
            (recipe, value) => recipe with { LearningRate = (double)value }, "0.4 / width of the model, at most 0.002; a tenth of it for full, and for pretrain from the base's weights"),
        new("learning_rate_multiplier", RecipeValue.Number(0, 1000, leastExcluded: true), "Factor of the learning rate, whether it is chosen or given.", "1",
            (recipe, value) => recipe with { LearningRateMultiplier = (double)value }),
        new("loss", RecipeValue.Algorithm(), "What is made small: cross_entropy, or a plugin's.", "cross_entropy",
            (recipe, value) => recipe with { Loss = (string)value }),
        new("optimizer", RecipeValue.Algorithm(), "What makes steps of gradients: adamw, or a plugin's.", "adamw",
            (recipe, value) => recipe with { Optimizer = (string)value }),
        new("schedule", RecipeValue.Algorithm(), "How the rate goes on after the warm-up: cosine, linear, wsd, constant, or a plugin's.", "cosine",
            (recipe, value) => recipe with { Schedule = (string)value }),
        new("warmup_ratio", RecipeValue.Number(0, 0.9), "Share of the steps in which the rate rises.", "0.05",
            (recipe, value) => recipe with { WarmupRatio = (double)value }),
        new("decay_ratio", RecipeValue.Number(0, 1), "Share of the steps in which the schedule wsd falls.", "0.2",
            (recipe, value) => recipe with { DecayRatio = (double)value }),
        new("weight_decay", RecipeValue.Number(0, 1), "AdamW's decay, on matrices only.", "0",
            (recipe, value) => recipe with { WeightDecay = (double)value }),
        new("clip_norm", RecipeValue.Number(0, Million, leastExcluded: true), "L2 norm that gradients are scaled down to.", "1",
            (recipe, value) => recipe with { ClipNorm = (double)value }),
        new("beta2", RecipeValue.Number(0.5, 0.99999), "Decay rate of AdamW's second moment.", "0.999",
            (recipe, value) => recipe with { Beta2 = (double)value }),
        new("rank", RecipeValue.Whole(1, 4096), "Rank of the update.", Auto,
            (recipe, value) => recipe with { Rank = (int)value }, "16, at most the model's width") { Methods = ofUpdate },
        new("alpha", RecipeValue.Number(0, Million, leastExcluded: true), "The update's scale is alpha / rank, or alpha / √rank with rslora.", Auto,
            (recipe, value) => recipe with { Alpha = (double)value }, "twice the rank") { Methods = ofUpdate },
        new("dropout", RecipeValue.Number(0, 0.95), "Share of an update's inputs that a step leaves out.", "0",
            (recipe, value) => recipe with { Dropout = (double)value }) { Methods = ofUpdate },
        new("target_modules", RecipeValue.Names(), "all-linear, or the names of the projections that get an update.", "all-linear",
            (recipe, value) => recipe with { TargetModules = (string)value }) { Methods = ofUpdate },
        new("rslora", RecipeValue.Flag(), "Rank-stabilized scale.", "false", (recipe, value) => recipe with { Rslora = (bool)value }) { Methods = ofUpdate },
        new("dora", RecipeValue.Flag(), "Weight-decomposed update.", "false", (recipe, value) => recipe with { Dora = (bool)value }) { Methods = ofUpdate },
        new("validate_every", RecipeValue.Whole(1, 100 * Million), "Steps between two measurements on the validation rows.", Auto,
            (recipe, value) => recipe with { ValidateEvery = (int)value }, "a tenth of the steps with patience or samples, else only before and after"),
        new("patience", RecipeValue.Whole(1, 10_000), "Measurements without a lower loss after which training stops and takes the best.", Auto,
            (recipe, value) => recipe with { Patience = (int)value }, "training goes on to its last step"),
        new("samples", RecipeValue.Whole(0, 100), "Answers that the model writes to validation prompts, or to how validation texts begin, whenever it is measured.", "0",
            (recipe, value) => recipe with { Samples = (int)value }),
        new("checkpoint_seconds", RecipeValue.Number(0, Million), "Least time between two checkpoints; saving them takes at most a twentieth of the time.", "30",
            (recipe, value) => recipe with { CheckpointSeconds = (double)value }),
        new("gradient_checkpointing", RecipeValue.Flag(), "Whether activations are computed again instead of kept.", Auto,
            (recipe, value) => recipe with { GradientCheckpointing = (bool)value }, "only where memory would not do otherwise"),
        new("device", RecipeValue.OneOf<ComputeDevice>(), "Where the arithmetic is done.", "cpu",
            (recipe, value) => recipe with { Device = (ComputeDevice)value }),
        new("seed", RecipeValue.Whole(0, int.MaxValue), "For first values, order of rows, dropout and noise.", "42",
            (recipe, value) => recipe with { Seed = (int)value }),
    ];
}
