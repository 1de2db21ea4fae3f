namespace ModelOps.Training;

/// <param name="Stage">What is being done: one of <see cref="TrainingStages"/>.</param>
/// <param name="Step">Steps done in this stage.</param>
/// <param name="Metrics">Latest values by the names of <see cref="TrainingMetrics"/>.</param>
public sealed record TrainingProgress(string Stage, int Step, int Total, IReadOnlyDictionary<string, double> Metrics)
{
    /// <summary>What people should know of it, in plain words; null: nothing.</summary>
    public string? Message { get; init; }

    /// <summary>What the message tells of the model's own words; null: nothing.</summary>
    public TrainingSample? Sample { get; init; }

    internal static TrainingProgress Say(string stage, int step, int total, string message) =>
        new(stage, step, total, new Dictionary<string, double>()) { Message = message };
}

/// <summary>What the model makes of a prompt while it is trained.</summary>
/// <param name="Steps">That it was trained for.</param>
/// <param name="Number">Of the prompt, from 1.</param>
/// <param name="Complete">Whether the model ended it; else it was cut.</param>
public sealed record TrainingSample(int Steps, int Number, string Prompt, string Text, bool Complete);

public static class TrainingStages
{
    /// <summary>The rows are encoded and packed, the recipe is resolved: says what people should know of them.</summary>
    public const string Prepare = "prepare";

    public const string EvaluateBefore = "evaluate_before";
    public const string Validate = "validate";

    /// <summary>The measurement after <see cref="TrainingProgress.Step"/> steps of training is done.</summary>
    public const string Validated = "validated";

    public const string Train = "train";
    public const string EvaluateAfter = "evaluate_after";
}

public static class TrainingMetrics
{
    /// <summary>Nats per learned token of the step's batch; in an evaluation stage, over the batches so far.</summary>
    public const string Loss = "loss";

    /// <summary>Nats per learned token over all the rows that are measured on.</summary>
    public const string ValidationLoss = "validation_loss";

    public const string LearningRate = "learning_rate";

    /// <summary>L2 norm of all gradients before clipping.</summary>
    public const string GradientNorm = "grad_norm";

    /// <summary>Tokens that the model read in the step, padding left out, per second.</summary>
    public const string TokensPerSecond = "tokens_per_second";

    /// <summary>Share of the machine's matrix product peak that the model's own arithmetic took, 0 to 1 (Chowdhery et al. 2022).</summary>
    public const string ModelFlopsUtilization = "mfu";

    /// <summary>Memory of the process in bytes.</summary>
    public const string Memory = "memory_bytes";

    /// <summary>Seconds to the last step, from the latest ones.</summary>
    public const string Remaining = "eta_seconds";
}
