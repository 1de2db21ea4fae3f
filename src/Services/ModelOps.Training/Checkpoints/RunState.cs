using System.Text.Json.Serialization;

namespace ModelOps.Training.Checkpoints;

/// <summary>Where a run stands between two steps. With recipe, rows, base and the saved tensors it decides everything that follows.</summary>
public sealed record RunState
{
    /// <summary>Steps done. The order of rows and dropout follow from it and the seed.</summary>
    public required int Steps { get; init; }

    /// <summary>Tokens read so far, padding left out.</summary>
    public required long Tokens { get; init; }

    /// <summary>Loss of the base model on the rows that the run is measured on, in nats per learned token.</summary>
    public required double LossBefore { get; init; }

    /// <summary>Losses of the latest steps, oldest first, in nats per learned token: what a spike is measured against.</summary>
    public IReadOnlyList<double> RecentLosses { get; init; } = [];

    /// <summary>The lowest validation loss so far; null before the first validation.</summary>
    public ValidationMark? Best { get; init; }
}

/// <param name="Steps">Steps done when it was measured.</param>
/// <param name="Loss">Nats per learned token.</param>
public sealed record ValidationMark(int Steps, double Loss);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RunState))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
