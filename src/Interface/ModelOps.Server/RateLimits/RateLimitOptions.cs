using System.ComponentModel.DataAnnotations;
using ModelOps.Registry;

namespace ModelOps.Server.RateLimits;

/// <summary>A token bucket: every request takes a token of it, and a request that finds none is refused.</summary>
public sealed record RateLimit
{
    /// <summary>Requests a second that may go on for ever.</summary>
    [Range(0.001, 1_000_000)]
    public double PerSecond { get; init; } = 100;

    /// <summary>Requests at once after a pause.</summary>
    [Range(1, 1_000_000)]
    public int Burst { get; init; } = 1000;
}

/// <summary>How many requests one principal, or one address that is not signed in, may make.</summary>
public sealed record RateLimitOptions
{
    /// <summary>Whether requests are limited.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Of an address that is not signed in; an IPv6 address counts as its /64 network.</summary>
    public RateLimit Anonymous { get; init; } = new() { PerSecond = 50, Burst = 500 };

    /// <summary>Of a principal with the role viewer.</summary>
    public RateLimit Viewer { get; init; } = new();

    /// <summary>Of a principal with the role engineer.</summary>
    public RateLimit Engineer { get; init; } = new() { PerSecond = 500, Burst = 5000 };

    /// <summary>Of a principal with the role approver.</summary>
    public RateLimit Approver { get; init; } = new();

    /// <summary>Of a principal with the role admin.</summary>
    public RateLimit Admin { get; init; } = new() { PerSecond = 500, Burst = 5000 };

    /// <summary>Of a principal with the role service.</summary>
    public RateLimit Service { get; init; } = new() { PerSecond = 1000, Burst = 10_000 };

    /// <param name="role">Null: not signed in.</param>
    public RateLimit Of(string? role) => role switch
    {
        Roles.Viewer => Viewer,
        Roles.Engineer => Engineer,
        Roles.Approver => Approver,
        Roles.Admin => Admin,
        Roles.Service => Service,
        null => Anonymous,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "no such role"),
    };
}
