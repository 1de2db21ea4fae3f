using System.ComponentModel.DataAnnotations;
using StackExchange.Redis;

namespace ModelOps.Server.Redis;

/// <summary>Redis that several servers share: the buckets of their rate limits, and the news of their jobs. Without one each server has its own.</summary>
public sealed record RedisOptions : IValidatableObject
{
    /// <summary>Where it is, such as <c>host:6379,password=…,ssl=true</c>.</summary>
    [DataType(DataType.Password)]
    public string? Connection { get; init; }

    /// <summary>Time in which it must have answered; a request that it leaves waiting is decided by this server's own buckets.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMilliseconds(500);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Connection is null) yield break;
        ValidationResult? fault = null;
        try
        {
            if (ConfigurationOptions.Parse(Connection).EndPoints.Count == 0) fault = new("it names no host; write host:port first", [nameof(Connection)]);
        }
        catch (ArgumentException e)
        {
            fault = new($"it is no connection string of StackExchange.Redis: {e.Message}", [nameof(Connection)]);
        }
        if (fault is not null) yield return fault;
    }
}
