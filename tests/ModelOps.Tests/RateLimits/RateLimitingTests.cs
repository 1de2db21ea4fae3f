using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;
using ModelOps.Server.RateLimits;
using ModelOps.Server.Redis;
using ModelOps.Server.Telemetry;

namespace ModelOps.Tests.RateLimits;

/// <summary>The limits as requests meet them, over real HTTP with a clock that the test moves.</summary>
public sealed class RateLimitingTests : IAsyncDisposable
{
    private readonly ManualTime time = new();
    private readonly HttpClient http = new();
    private readonly DirectoryInfo home = Directory.CreateTempSubdirectory("modelops-limits-");
    private WebApplication? app;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        if (app is not null) await app.DisposeAsync();
        home.Delete(recursive: true);
    }

    [Fact]
    public async Task Request_BeyondTheBurst_Is429UntilTheTimeThatItNames()
    {
        await StartAsync(new() { Engineer = new() { PerSecond = 0.4, Burst = 3 } });
        for (var left = 2; left >= 0; left--)
        {
            using var allowed = await GetAsync("/api/v1/jobs", Roles.Engineer);
            Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
            Assert.Equal("\"engineer\";q=3;w=8", Header(allowed, "RateLimit-Policy"));
            Assert.Equal($"\"engineer\";r={left};t={(int)Math.Ceiling(2.5 * (3 - left))}", Header(allowed, "RateLimit"));
            Assert.Null(allowed.Headers.RetryAfter);
        }
        using var limited = await GetAsync("/api/v1/jobs", Roles.Engineer);
        Assert.Equal(HttpStatusCode.TooManyRequests, limited.StatusCode);
        Assert.Equal("application/problem+json", limited.Content.Headers.ContentType?.MediaType);
        var problem = (await limited.Content.ReadFromJsonAsync(WireJson.Default.Problem, Cancel))!;
        Assert.Equal((ProblemTypes.TooManyRequests, "Too many requests", 429), (problem.Type, problem.Title, problem.Status));
        Assert.Contains("wait 3 s, or raise rate_limits:engineer", problem.Detail, StringComparison.Ordinal);
        Assert.Equal("\"engineer\";r=0;t=8", Header(limited, "RateLimit"));
        Assert.Equal(TimeSpan.FromSeconds(3), limited.Headers.RetryAfter!.Delta); // 2.5 s, rounded up

        time.Advance(TimeSpan.FromSeconds(2.499999));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync("/api/v1/jobs", Roles.Engineer));
        time.Advance(TimeSpan.FromMicroseconds(1));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/api/v1/jobs", Roles.Engineer));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync("/api/v1/jobs", Roles.Engineer));
    }

    [Fact]
    public async Task Request_OfOpenAIsSurface_IsRefusedInItsWords()
    {
        await StartAsync(new() { Service = new() { PerSecond = 1, Burst = 1 } });
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/v1/models", Roles.Service));
        using var limited = await GetAsync("/v1/models", Roles.Service);
        Assert.Equal(HttpStatusCode.TooManyRequests, limited.StatusCode);
        var text = await limited.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("\"type\":\"requests\"", text, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"rate_limit_exceeded\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_OfEachRolePrincipalAndAddress_HasItsOwnLimit()
    {
        await StartAsync(new()
        {
            Anonymous = new() { PerSecond = 1, Burst = 1 },
            Viewer = new() { PerSecond = 1, Burst = 2 },
            Admin = new() { PerSecond = 1, Burst = 4 },
        });
        Assert.Equal(2, await AllowedAsync(Roles.Viewer, "key_1"));
        Assert.Equal(2, await AllowedAsync(Roles.Viewer, "key_2"));
        Assert.Equal(4, await AllowedAsync(Roles.Admin, "key_3"));
        Assert.Equal(2, await AllowedAsync("astronaut", "key_4")); // a role that there is not has the viewer's
        Assert.Equal(1, await AllowedAsync(role: null));
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/readyz")]
    [InlineData("/metrics")]
    public async Task Request_OfWhatWatchesTheServer_IsNeverLimited(string path)
    {
        await StartAsync(new() { Anonymous = new() { PerSecond = 0.001, Burst = 1 } });
        for (var i = 0; i < 20; i++) Assert.Equal(HttpStatusCode.OK, await StatusAsync(path, role: null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/openapi/v1.json", role: null));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync("/healthz/more", role: null));
    }

    [Fact]
    public async Task Request_WithLimitsOff_IsNotLimited()
    {
        await StartAsync(new() { Enabled = false, Viewer = new() { PerSecond = 0.001, Burst = 1 } });
        using var first = await GetAsync("/api/v1/jobs", Roles.Viewer);
        Assert.False(first.Headers.Contains("RateLimit"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/api/v1/jobs", Roles.Viewer));
    }

    [Fact]
    public async Task Request_Limited_IsCountedByRole()
    {
        await StartAsync(new() { Anonymous = new() { PerSecond = 1, Burst = 1 }, Viewer = new() { PerSecond = 1, Burst = 2 } });
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Scope != app!.Services.GetRequiredService<IMeterFactory>() || instrument.Name != "modelops.rate_limit.limited") return;
            Assert.Equal(("{request}", RateLimitMetrics.MeterName), (instrument.Unit, instrument.Meter.Name));
            self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            lock (counts)
            {
                var role = (string)tags[0].Value!;
                counts[role] = counts.GetValueOrDefault(role) + value;
            }
        });
        listener.Start();
        Assert.Equal(1, await AllowedAsync(role: null));
        Assert.Equal(2, await AllowedAsync(Roles.Viewer, "key_1"));
        lock (counts) Assert.Equal(new Dictionary<string, long>(StringComparer.Ordinal) { ["anonymous"] = 9, ["viewer"] = 8 }, counts);
    }

    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7")]
    [InlineData("::ffff:192.0.2.7", "192.0.2.7")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    [InlineData("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64")]
    [InlineData("2001:db8:1:3::1", "2001:db8:1:3::/64")]
    [InlineData("fe80::1%2", "fe80::/64")]
    [InlineData("::1", "::/64")]
    public void NetworkOf_AnAddress_IsWhatOneCustomerHas(string address, string network) =>
        Assert.Equal(network, RateLimiting.NetworkOf(IPAddress.Parse(address)));

    [Fact]
    public void NetworkOf_NoAddress_IsLocal() => Assert.Equal("local", RateLimiting.NetworkOf(null));

    [Fact]
    public void Limits_OfEveryRole_AreGiven()
    {
        var options = new RateLimitOptions();
        Assert.All(Roles.All, role => Assert.True(options.Of(role).Burst >= 1000, $"{role}: 50 uploads at once must never meet the limit"));
        Assert.True(options.Anonymous.Burst < options.Viewer.Burst);
    }

    private async Task StartAsync(RateLimitOptions options)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddSingleton(_ => ServerHome.Open(home.FullName)); // by a factory: the container disposes it
        builder.Services.AddSingleton<ServerMetrics>();
        builder.Services.AddRateLimits(options, new RedisOptions());
        app = builder.Build();
        app.Use((context, next) =>
        {
            if (context.Request.Headers["x-role"].ToString() is { Length: > 0 } role)
            {
                context.User = new ClaimsPrincipal(new ClaimsIdentity(
                    [new(ClaimTypes.NameIdentifier, context.Request.Headers["x-id"].ToString()), new(ClaimTypes.Role, role)], "test"));
            }
            return next(context);
        });
        app.UseRateLimits();
        app.MapGet("/{**path}", () => "ok");
        await app.StartAsync(Cancel);
        http.BaseAddress = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
    }

    private async Task<HttpResponseMessage> GetAsync(string path, string? role, string id = "key_1")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (role is not null)
        {
            request.Headers.Add("x-role", role);
            request.Headers.Add("x-id", id);
        }
        return await http.SendAsync(request, Cancel);
    }

    private async Task<HttpStatusCode> StatusAsync(string path, string? role)
    {
        using var response = await GetAsync(path, role);
        return response.StatusCode;
    }

    /// <summary>How many of ten requests at one moment.</summary>
    private async Task<int> AllowedAsync(string? role, string id = "")
    {
        var allowed = 0;
        for (var i = 0; i < 10; i++)
        {
            using var response = await GetAsync("/api/v1/jobs", role, id);
            if (response.StatusCode == HttpStatusCode.OK) allowed++;
        }
        return allowed;
    }

    private static string Header(HttpResponseMessage response, string name) =>
        string.Join(",", response.Headers.GetValues(name));
}
