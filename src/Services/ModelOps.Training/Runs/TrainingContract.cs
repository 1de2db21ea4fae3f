using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Recipes;

namespace ModelOps.Training;

/// <summary>A row to learn from.</summary>
public abstract record TrainingExample
{
    private protected TrainingExample()
    {
    }
}

/// <summary>A conversation: what its assistant messages say is learned.</summary>
public sealed record ChatExample(IReadOnlyList<ChatMessage> Messages) : TrainingExample;

/// <summary>A text, all of which is learned. That it ends is learned too: the tokenizer's end token is put behind it unless it has one.</summary>
public sealed record TextExample(string Text) : TrainingExample;

public sealed record TrainingRequest
{
    /// <summary>The base model, in Hugging Face layout; with a chat template unless texts are learned.</summary>
    public required string ModelFolder { get; init; }

    /// <summary>Texts where the method is <see cref="TrainingMethod.Pretrain"/>, else conversations.</summary>
    public required IReadOnlyList<TrainingExample> TrainRows { get; init; }

    /// <summary>May be empty: see <see cref="EvaluationRows"/>.</summary>
    public required IReadOnlyList<TrainingExample> ValidationRows { get; init; }

    /// <summary>Where the adapter, or the model, will stand, complete or not at all. It must not exist, or be empty.</summary>
    public required string OutputFolder { get; init; }

    public Recipe Recipe { get; init; } = new();

    /// <summary>
    /// Where checkpoints are kept while the run goes on: run again with the same request it goes on from the newest, and its losses are those
    /// of a run that was never interrupted, to the last bit. The caller removes it in the end.
    /// </summary>
    /// <value>By default a folder beside the output that lasts as long as the run.</value>
    public string? CheckpointFolder { get; init; }

    /// <summary>Told of each checkpoint when it is complete, on the thread that trains; null: nobody is.</summary>
    public Action<SavedCheckpoint>? CheckpointSaved { get; init; }

    /// <summary>CPU threads; they are set for the whole process.</summary>
    /// <value>By default all cores but one: the rest of the machine goes on answering.</value>
    public int? Threads { get; init; }

    /// <summary>Bytes that the run may take: one that is estimated to need more is refused before it begins.</summary>
    /// <value>By default what the machine has free, within the limit of the process's control group.</value>
    public long? MemoryLimit { get; init; }

    /// <summary>What the adapter names as its base.</summary>
    public string? BaseModelName { get; init; }
}

/// <summary>What the losses before and after were measured on.</summary>
public enum EvaluationRows
{
    Validation,

    /// <summary>There was no usable validation row: up to 128 training rows, chosen by the seed. The loss tells little about new rows.</summary>
    TrainSample,
}

/// <summary>What became of the rows.</summary>
/// <param name="Used">Rows that are learned from or measured on, the truncated ones included.</param>
/// <param name="Truncated">Rows that lost their end to the sequence length.</param>
/// <param name="Skipped">Rows in which nothing is left to learn, or that the chat template refuses.</param>
/// <param name="FirstSkipReason">Null if no row was skipped.</param>
public sealed record RowReport(int Used, int Truncated, int Skipped, string? FirstSkipReason);

/// <param name="Tokens">Tokens read in training, padding left out.</param>
/// <param name="LossBefore">Nats per learned token, of the untrained model.</param>
/// <param name="LossAfter">Nats per learned token, of the trained one.</param>
/// <param name="Seconds">Loading and both evaluations included.</param>
public sealed record TrainingOutcome(
    int Steps,
    long Tokens,
    double LossBefore,
    double LossAfter,
    double Seconds,
    ResolvedRecipe ResolvedRecipe,
    EvaluationRows EvaluatedOn,
    RowReport TrainRows,
    RowReport ValidationRows);
