using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.RateLimits;

/// <summary>The limits of real server processes.</summary>
public sealed class RateLimitServerTests : IDisposable
{
    private readonly List<string> homes = [];

    public void Dispose()
    {
        foreach (var home in homes) Directory.Delete(home, recursive: true);
    }

    [Fact(Timeout = 240_000)]
    public async Task Serve_TwoServersOnOneRedis_ShareOneLimit()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var redis = await RedisServer.StartAsync(cancel);
        // No token comes back while the test runs: one takes 1000 s. A slow machine is no Redis that is away.
        var first = await NewHomeAsync($$"""
            { "rate_limits": { "admin": { "per_second": 0.001, "burst": 40 }, "anonymous": { "per_second": 0.001, "burst": 15 } },
              "redis": { "connection": "{{redis.ConnectionString}}", "timeout": "60s" } }
            """);
        await using (await TestServer.StartAsync(first, cancel))
        {
            // Makes the key and the certificates that the second server has too.
        }
        var second = CopyOf(first);
        await Backends.ShareAsync(first, second);
        await using var one = await TestServer.StartAsync(first, cancel);
        await using var two = await TestServer.StartAsync(second, cancel);
        Assert.Equal(one.ApiKey, two.ApiKey);

        Assert.Equal(40, await AllowedAsync(one, two, one.ApiKey, "/api/v1/jobs", HttpStatusCode.OK, cancel));
        Assert.Equal(15, await AllowedAsync(one, two, key: null, "/api/v1/jobs", HttpStatusCode.Unauthorized, cancel));
        Assert.DoesNotContain("Redis does not answer", one.Log + two.Log, StringComparison.Ordinal);
    }

    [Fact(Timeout = 240_000)]
    public async Task Serve_BeyondTheLimit_RefusesUntilTheTimeThatItNames()
    {
        var cancel = TestContext.Current.CancellationToken;
        var home = await NewHomeAsync("""{ "rate_limits": { "admin": { "per_second": 0.2, "burst": 2 } } }""");
        await using var server = await TestServer.StartAsync(home, cancel);
        using var http = Connect(server, server.ApiKey);
        HttpResponseMessage response;
        do
        {
            response = await http.GetAsync(new Uri("/v1/models", UriKind.Relative), cancel);
        }
        while (response.StatusCode == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Contains("rate_limit_exceeded", await response.Content.ReadAsStringAsync(cancel), StringComparison.Ordinal);
        Assert.StartsWith("\"admin\";r=0;t=", Assert.Single(response.Headers.GetValues("RateLimit")), StringComparison.Ordinal);
        await Task.Delay(response.Headers.RetryAfter!.Delta!.Value, cancel);
        using var again = await http.GetAsync(new Uri("/api/v1/jobs", UriKind.Relative), cancel);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);

        await server.Client.Datasets.ListAsync(cancel); // the client waits by itself, and so sees no refusal
    }

    [Fact(Timeout = 240_000)]
    public async Task Serve_ByDefault_FiftyUploadsAtOnceMeetNoLimit()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var server = await TestServer.StartAsync(await NewHomeAsync("{}"), cancel);
        using var http = Connect(server, server.ApiKey);
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            var bytes = BitConverter.GetBytes(i);
            var digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes));
            using var body = new ByteArrayContent(bytes);
            using var response = await http.PutAsync(new Uri($"/api/v1/blobs/{digest}", UriKind.Relative), body, cancel);
            return response.IsSuccessStatusCode;
        }));
        Assert.DoesNotContain(false, answers);
    }

    /// <summary>How many of 100 requests at once, half to each server, get past the limit; every other one is refused by it.</summary>
    private static async Task<int> AllowedAsync(
        TestServer one, TestServer two, string? key, string path, HttpStatusCode passed, CancellationToken cancel)
    {
        using var first = Connect(one, key);
        using var second = Connect(two, key);
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            using var response = await (i % 2 == 0 ? first : second).GetAsync(new Uri(path, UriKind.Relative), cancel);
            if (response.StatusCode == HttpStatusCode.TooManyRequests)
            {
                Assert.InRange(response.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1000));
                Assert.Equal(ProblemTypes.TooManyRequests, (await response.Content.ReadFromJsonAsync(WireJson.Default.Problem, cancel))!.Type);
            }
            return response.StatusCode;
        }));
        Assert.All(answers, status => Assert.Contains(status, new[] { passed, HttpStatusCode.TooManyRequests }));
        return answers.Count(status => status == passed);
    }

    private async Task<string> NewHomeAsync(string config)
    {
        var home = TestServer.NewHome();
        homes.Add(home);
        await File.WriteAllTextAsync(Path.Combine(home, "modelops.json"), config, TestContext.Current.CancellationToken);
        return home;
    }

    private string CopyOf(string home)
    {
        var copy = TestServer.NewHome();
        homes.Add(copy);
        foreach (var folder in Directory.EnumerateDirectories(home, "*", SearchOption.AllDirectories))
            Directory.CreateDirectory(Path.Combine(copy, Path.GetRelativePath(home, folder)));
        foreach (var file in Directory.EnumerateFiles(home, "*", SearchOption.AllDirectories))
            File.Copy(file, Path.Combine(copy, Path.GetRelativePath(home, file)));
        return copy;
    }

    private static HttpClient Connect(TestServer server, string? key)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(server.CaCertificate) },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        var http = new HttpClient(handler) { BaseAddress = server.Client.Server, DefaultRequestVersion = HttpVersion.Version20 };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }
}
