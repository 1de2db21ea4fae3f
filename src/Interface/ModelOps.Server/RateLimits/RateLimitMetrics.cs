using System.Diagnostics.Metrics;

namespace ModelOps.Server.RateLimits;

public sealed class RateLimitMetrics : IDisposable
{
    public const string MeterName = "ModelOps.Server.RateLimits";
    private readonly Meter meter;
    private readonly Counter<long> limited;
    private readonly Counter<long> redisAway;

    public RateLimitMetrics(IMeterFactory meters)
    {
        meter = meters.Create(MeterName);
        limited = meter.CreateCounter<long>("modelops.rate_limit.limited", "{request}", "Requests refused because their principal or address made too many.");
        redisAway = meter.CreateCounter<long>(
            "modelops.rate_limit.redis_away", "{request}", "Requests that this server's own buckets decided because Redis did not answer.");
    }

    /// <param name="role">The role, or anonymous.</param>
    public void Limited(string role) => limited.Add(1, new KeyValuePair<string, object?>("modelops.role", role));

    public void RedisAway() => redisAway.Add(1);

    public void Dispose() => meter.Dispose();
}
