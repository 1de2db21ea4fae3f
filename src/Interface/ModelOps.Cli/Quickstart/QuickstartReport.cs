using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>What every step made and how long it took: the <c>--json</c> document.</summary>
internal sealed record QuickstartReport
{
    public required string Server { get; init; }
    /// <summary>Whether the server was started for this run and is stopped after it.</summary>
    public required bool ServerStopped { get; init; }
    public required double Seconds { get; init; }
    public required QuickstartStep<Artifact> Base { get; init; }
    public required QuickstartStep<DatasetVersion> Dataset { get; init; }
    /// <summary>How much of the recipe is done, and how long it was thought to take.</summary>
    public required QuickstartStep<QuickstartPlan> Plan { get; init; }
    public required QuickstartStep<TrainingResult> Training { get; init; }
    public required QuickstartStep<EvaluationResult> Evaluation { get; init; }
    public required QuickstartStep<QuantizationResult> Quantization { get; init; }
    public required QuickstartStep<Verification> Verification { get; init; }
    public required QuickstartStep<Deployment> Deployment { get; init; }
    public required QuickstartStep<IReadOnlyList<QuickstartAnswer>> Chat { get; init; }
    public required LineageGraph Lineage { get; init; }
}

/// <param name="Reused">Whether it was there already, of the same inputs, and nothing was done.</param>
/// <param name="Resumed">Whether an earlier run's job was gone on with.</param>
/// <param name="Job">That made it, where one did.</param>
internal sealed record QuickstartStep<T>(double Seconds, bool Reused, bool Resumed, string? Job, T Result);

/// <param name="Expected">What the held-out row answers.</param>
internal sealed record QuickstartAnswer(string Question, string Answer, string Expected);
