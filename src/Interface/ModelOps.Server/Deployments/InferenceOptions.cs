using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Deployments;

/// <summary>What an inference worker may take of the machine.</summary>
public sealed record InferenceOptions
{
    private const int ShareOfMachine = 2;

    /// <summary>
    /// Bytes of memory for the models of one inference worker: weights, caches and buffers; without a number half of the machine's memory, divided by
    /// workers:inference:max. A model that nobody uses leaves for another; one that needs more than all of it is refused.
    /// </summary>
    [Range(1L << 20, 1L << 44)]
    public long? MemoryBudget { get; init; }

    /// <param name="machine">The machine's, or the container's, memory in bytes.</param>
    /// <param name="workers">Inference workers that there may be.</param>
    public long MemoryOf(long machine, int workers) => MemoryBudget ?? (machine / ShareOfMachine / workers);
}

/// <summary>What may be deployed.</summary>
public sealed record DeploymentOptions
{
    /// <summary>The stage that an artifact must have reached to be deployed, as a model or as an adapter: none, staging or production.</summary>
    public RequiredStage RequiredStage { get; init; }
}

public enum RequiredStage
{
    None,
    Staging,
    Production,
}
