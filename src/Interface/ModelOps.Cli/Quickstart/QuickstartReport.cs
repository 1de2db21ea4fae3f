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
    public required QuickstartStep<TrainingResult> Training { get; init; }
    public required QuickstartStep<QuantizationResult> Quantization { get; init; }
    public required QuickstartStep<Verification> Verification { get; init; }
    public required QuickstartStep<Deployment> Deployment { get; init; }
    public required QuickstartStep<IReadOnlyList<QuickstartAnswer>> Chat { get; init; }
    public required LineageGraph Lineage { get; init; }
}

/// <param name="Reused">Whether it was there already, identical, and nothing was done.</param>
internal sealed record QuickstartStep<T>(double Seconds, bool Reused, T Result);

internal sealed record QuickstartAnswer(string Question, string Answer);
