using StackExchange.Redis;

namespace ModelOps.Server.Redis;

/// <summary>The one connection of this server to Redis. It is made in the background, and again whenever it breaks.</summary>
public sealed class RedisConnection : IAsyncDisposable
{
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(1);

    public RedisConnection(RedisOptions options)
    {
        var redis = ConfigurationOptions.Parse(options.Connection!);
        redis.AbortOnConnectFail = false;
        redis.BacklogPolicy = BacklogPolicy.FailFast; // a request does not queue for a Redis that is away
        redis.ReconnectRetryPolicy = new LinearRetry((int)pause.TotalMilliseconds);
        redis.IncludeDetailInExceptions = false;
        Multiplexer = ConnectionMultiplexer.ConnectAsync(redis); // the server's start does not wait for Redis
        Timeout = options.Timeout;
    }

    public Task<ConnectionMultiplexer> Multiplexer { get; }

    /// <summary>Time in which Redis must have answered.</summary>
    public TimeSpan Timeout { get; }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await (await Multiplexer).DisposeAsync();
        }
        catch (RedisException)
        {
            // There never was a connection to close.
        }
    }
}
