using System.ComponentModel.DataAnnotations;
using ModelOps.Registry;
using StackExchange.Redis;

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
public sealed record RateLimitOptions : IValidatableObject
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

    /// <summary>Redis that several servers share their buckets on, such as <c>host:6379,password=…,ssl=true</c>; without one each server has its own.</summary>
    [DataType(DataType.Password)]
    public string? Redis { get; init; }

    /// <summary>Time in which Redis must have answered; a request that it leaves waiting is decided by this server's own buckets.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan RedisTimeout { get; init; } = TimeSpan.FromMilliseconds(500);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Redis is null) yield break;
        ValidationResult? fault = null;
        try
        {
            if (ConfigurationOptions.Parse(Redis).EndPoints.Count == 0) fault = new("it names no host; write host:port first", [nameof(Redis)]);
        }
        catch (ArgumentException e)
        {
            fault = new($"it is no connection string of StackExchange.Redis: {e.Message}", [nameof(Redis)]);
        }
        if (fault is not null) yield return fault;
    }

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
