using System.Net;
using System.Net.Sockets;
using System.Security.Claims;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Redis;

namespace ModelOps.Server.RateLimits;

/// <summary>Refuses the requests of those who make too many: between authentication and authorization.</summary>
public static class RateLimiting
{
    // What watches the server must see it also, and above all, when it is busy.
    private static readonly HashSet<PathString> exempt = ["/healthz", "/readyz", "/metrics"];

    public static void AddRateLimits(this IServiceCollection services, RateLimitOptions options, RedisOptions redis)
    {
        services.AddMetrics();
        services.AddSingleton(options);
        services.AddSingleton<RateLimitMetrics>();
        services.AddSingleton(provider => new LocalRateLimiter(options, provider.GetRequiredService<TimeProvider>()));
        if (redis.Connection is null) services.AddSingleton<IRateLimiter>(provider => provider.GetRequiredService<LocalRateLimiter>());
        else services.AddSingleton<IRateLimiter, RedisRateLimiter>();
    }

    /// <summary>Every answer tells the limit and what is left of it; a refusal is 429 with the time to wait.</summary>
    public static void UseRateLimits(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<RateLimitOptions>();
        if (!options.Enabled) return;
        var limiter = app.Services.GetRequiredService<IRateLimiter>();
        var metrics = app.Services.GetRequiredService<RateLimitMetrics>();
        app.Use(async (context, next) =>
        {
            if (exempt.Contains(context.Request.Path))
            {
                await next(context);
                return;
            }
            var partition = PartitionOf(context);
            var decision = await limiter.TakeAsync(partition, context.RequestAborted);
            WriteHeaders(context.Response.Headers, partition, options.Of(partition.Role), decision);
            if (decision.Allowed)
            {
                await next(context);
                return;
            }
            metrics.Limited(partition.Policy);
            await Refusal(partition, options.Of(partition.Role), decision).ExecuteAsync(context);
        });
    }

    public static RatePartition PartitionOf(HttpContext context) =>
        context.User.Identity is { IsAuthenticated: true } && context.User.FindFirstValue(ClaimTypes.NameIdentifier) is { } id
            ? new(context.User.FindFirstValue(ClaimTypes.Role) is { } role && Roles.All.Contains(role) ? role : Roles.Viewer, id)
            : new(Role: null, NetworkOf(context.Connection.RemoteIpAddress));

    /// <summary>An IPv4 address, or the /64 network of an IPv6 address: the least that one customer of a provider has.</summary>
    public static string NetworkOf(IPAddress? address)
    {
        if (address is null) return "local"; // a Unix socket has no address
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6) return address.ToString();
        var bytes = address.GetAddressBytes();
        Array.Clear(bytes, 8, 8);
        return $"{new IPAddress(bytes)}/64";
    }

    // draft-ietf-httpapi-ratelimit-headers-10: the policy's name, its quota and window; what remains, and the seconds until all of it is back.
    private static void WriteHeaders(IHeaderDictionary headers, RatePartition partition, RateLimit limit, RateDecision decision)
    {
        headers["RateLimit-Policy"] = $"\"{partition.Policy}\";q={limit.Burst};w={Math.Max(1, (long)Math.Ceiling(limit.Burst / limit.PerSecond))}";
        headers["RateLimit"] = $"\"{partition.Policy}\";r={decision.Remaining};t={Seconds(decision.UntilFull)}";
        if (!decision.Allowed) headers.RetryAfter = $"{Seconds(decision.RetryAfter)}";
    }

    private static IResult Refusal(RatePartition partition, RateLimit limit, RateDecision decision) => Problems.Of(
        ProblemTypes.TooManyRequests, StatusCodes.Status429TooManyRequests,
        $"{(partition.Role is null ? $"the address {partition.Id}, which is not signed in," : $"your principal, with the role {partition.Role},")} "
        + $"made more requests than {limit.PerSecond} a second and {limit.Burst} at once; "
        + $"wait {Seconds(decision.RetryAfter)} s, or raise rate_limits:{partition.Policy} in the server's configuration");

    private static long Seconds(TimeSpan time) => (long)Math.Ceiling(time.TotalSeconds);
}
