using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;

namespace ModelOps.Tests.RateLimits;

public sealed class RateLimitOptionsTests
{
    [Fact]
    public void Load_WithFaults_NamesThemAllWithoutTheSecret()
    {
        var bound = Load(
            ("MODELOPS__RATE_LIMITS__VIEWER__BURST", "0"), ("MODELOPS__RATE_LIMITS__ADMIN__PER_SECOND", "-1"),
            ("MODELOPS__REDIS__TIMEOUT", "2m"), ("MODELOPS__RATE_LIMITS__ANONYMUS__BURST", "3"));
        Assert.Equal(4, bound.Errors.Count);
        Assert.Contains(bound.Errors, error => error.Contains("rate_limits:viewer:burst is '0'", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("rate_limits:admin:per_second is '-1'", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("redis:timeout is '2m'", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("did you mean rate_limits:anonymous:burst?", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("host:6379,passwort=hunter2")]
    [InlineData("password=hunter2")]
    [InlineData("host:6379,ssl=perhaps,password=hunter2")]
    public void Load_WithARedisThatIsNone_SaysSoWithoutItsPassword(string redis)
    {
        var error = Assert.Single(Load(("MODELOPS__REDIS__CONNECTION", redis)).Errors);
        Assert.StartsWith("redis:connection: ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WithRedis_HidesItAndKeepsTheOtherDefaults()
    {
        var bound = Load(("MODELOPS__REDIS__CONNECTION", "host:6379,password=hunter2,ssl=true"), ("MODELOPS__RATE_LIMITS__VIEWER__BURST", "7"));
        Assert.Empty(bound.Errors);
        Assert.Equal((100, 7, 500), (bound.Value.RateLimits.Viewer.PerSecond, bound.Value.RateLimits.Viewer.Burst, bound.Value.RateLimits.Anonymous.Burst));
        var entry = Assert.Single(bound.Entries, entry => entry.Key == "redis:connection");
        Assert.True(entry.Secret);
        Assert.DoesNotContain("hunter2", entry.Value, StringComparison.Ordinal);
    }

    private static Bound<ServerConfig> Load(params (string Name, string Value)[] variables)
    {
        var environment = variables.ToDictionary(variable => variable.Name, variable => variable.Value, StringComparer.Ordinal);
        return ServerConfig.Load(new ServerArguments { Home = "/nowhere" }, environment);
    }
}
