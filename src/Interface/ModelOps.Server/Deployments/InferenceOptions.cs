using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Deployments;

/// <summary>What the inference worker may take of the machine.</summary>
public sealed record InferenceOptions
{
    private const int ShareOfMachine = 2;

    /// <summary>
    /// Bytes of memory for the models of all deployments: weights, caches and buffers; without a number half of the machine's memory. A model that
    /// nobody uses leaves for another; one that needs more than all of it is refused.
    /// </summary>
    [Range(1L << 20, 1L << 44)]
    public long? MemoryBudget { get; init; }

    /// <param name="machine">The machine's, or the container's, memory in bytes.</param>
    public long MemoryOf(long machine) => MemoryBudget ?? (machine / ShareOfMachine);
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
