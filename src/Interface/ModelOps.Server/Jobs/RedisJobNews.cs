using ModelOps.Server.Redis;
using StackExchange.Redis;

namespace ModelOps.Server.Jobs;

/// <summary>Through a channel of Redis, so that any server tells the watchers of every other. While Redis is away, watchers poll the database.</summary>
public sealed partial class RedisJobNews : JobNews, IAsyncDisposable
{
    public static readonly TimeSpan LookWhileAway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lookAnyway = TimeSpan.FromSeconds(5); // a message may be lost
    private readonly RedisConnection redis;
    private readonly TimeProvider time;
    private readonly ILogger<RedisJobNews> logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task subscribing;
    private ISubscriber? subscriber;
    private RedisChannel channel;
    private volatile bool isAway;

    public RedisJobNews(RedisConnection redis, TimeProvider time, ILogger<RedisJobNews> logger)
        : base(lookAnyway, time)
    {
        (this.redis, this.time, this.logger) = (redis, time, logger);
        subscribing = Task.Run(() => SubscribeAsync(stopping.Token)); // the server's start does not wait for Redis
    }

    protected override TimeSpan LookAnyway => isAway ? LookWhileAway : base.LookAnyway;

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await subscribing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it may still have been trying
        stopping.Dispose();
    }

    public override void Publish(string job)
    {
        Wake(job);
        subscriber?.Publish(channel, job, CommandFlags.FireAndForget); // while Redis is away it is dropped, and watchers poll
    }

    private async Task SubscribeAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var connection = await redis.Multiplexer.WaitAsync(cancellationToken);
                if (subscriber is null)
                {
                    connection.ConnectionFailed += (_, _) => BeAway("the connection broke");
                    connection.ConnectionRestored += (_, _) => BeBack();
                    // Messages know no database: two installations on one Redis are told apart by its number in the name.
                    channel = RedisChannel.Literal($"modelops:{connection.GetDatabase().Database}:job-events");
                    subscriber = connection.GetSubscriber();
                }
                await subscriber.SubscribeAsync(channel, (_, job) => Wake(job!)).WaitAsync(redis.Timeout, time, cancellationToken);
                BeBack();
                return;
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                BeAway(e.Message);
                await Task.Delay(LookWhileAway, time, cancellationToken);
            }
        }
    }

    private void BeAway(string reason)
    {
        if (isAway) return;
        isAway = true;
        Log.Away(logger, reason, LookWhileAway.TotalSeconds);
        WakeAll();
    }

    private void BeBack()
    {
        if (isAway) Log.Back(logger);
        isAway = false;
        WakeAll(); // for what was told meanwhile
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "job events: Redis does not answer ({Reason}); until it does, watchers look into the database every {Seconds} s")]
        public static partial void Away(ILogger logger, string reason, double seconds);

        [LoggerMessage(2, LogLevel.Information, "job events: Redis answers again")]
        public static partial void Back(ILogger logger);
    }
}
