using System.Runtime.InteropServices;

namespace ModelOps.Server.RateLimits;

/// <summary>Whose bucket a request takes its token from.</summary>
/// <param name="Role">The principal's role; null for a request that is not signed in.</param>
/// <param name="Id">The principal's id, or the address of a request that is not signed in.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct RatePartition(string? Role, string Id)
{
    /// <summary>The name of the limit: the role, or anonymous.</summary>
    public string Policy => PolicyOf(Role);

    public static string PolicyOf(string? role) => role ?? "anonymous";
}

/// <summary>Keeps the buckets: in this process, or in a Redis that several servers share.</summary>
public interface IRateLimiter
{
    ValueTask<RateDecision> TakeAsync(RatePartition partition, CancellationToken cancellationToken);
}
