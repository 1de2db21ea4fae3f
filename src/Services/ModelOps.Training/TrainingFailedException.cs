namespace ModelOps.Training;

/// <summary>Why a training run stopped; each is something the user can act on.</summary>
public enum TrainingFailure
{
    /// <summary>The recipe, or the model it is for, cannot be used.</summary>
    InvalidRecipe,

    /// <summary>No row is left to learn from.</summary>
    UnusableRows,

    /// <summary>The loss or the gradient is no longer a finite number.</summary>
    Diverged,

    /// <summary>A plugin threw, or gave what it may not.</summary>
    PluginFailed,

    /// <summary>The folder has checkpoints that were made from something else.</summary>
    OtherCheckpoints,
}

/// <summary>Training cannot go on for a reason that the message explains, with what to do. Nothing was written.</summary>
public sealed class TrainingFailedException(TrainingFailure failure, string message, Exception? cause = null) : Exception(message, cause)
{
    public TrainingFailure Failure { get; } = failure;
}
