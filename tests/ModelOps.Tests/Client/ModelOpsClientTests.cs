using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using ModelOps.Client;

namespace ModelOps.Tests.Client;

public sealed class ModelOpsClientTests
{
    private static readonly Page<Dataset> NoDatasets = new([]);

    private readonly InstantTime time = new();

    private ClientOptions Options => new() { Time = time, Jitter = () => 0, BaseDelay = TimeSpan.FromMilliseconds(100), Attempts = 4 };

    [Fact(Timeout = 30_000)]
    public async Task Get_ServerUnavailableTwice_IsRepeatedWithDoubledWaits()
    {
        var calls = 0;
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", () =>
            ++calls < 3 ? Results.StatusCode(StatusCodes.Status503ServiceUnavailable) : Results.Ok(NoDatasets)));
        using var client = peer.Connect(Options);

        Assert.Empty(await client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(3, calls);
        Assert.Equal([TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(100)], time.Waits);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_ServerStaysUnavailable_ThrowsItsProblemAfterTheAttempts()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet(
            "/api/v1/datasets", () => HttpsPeer.Problem(503, ProblemTypes.Unavailable, "The database is locked.")));
        using var client = peer.Connect(Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Equal("The database is locked.", exception.Problem.Detail);
        Assert.Equal(4, peer.Requests.Count);
    }

    [Fact(Timeout = 30_000)]
    public async Task Post_ServerUnavailable_IsNotRepeated()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost(
            "/api/v1/trainings", () => Results.StatusCode(StatusCodes.Status503ServiceUnavailable)));
        using var client = peer.Connect(Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(
            () => client.Jobs.StartTrainingAsync(new CreateTraining { Base = "b", Dataset = "d", Name = "n" }, TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.Unavailable, exception.Problem.Type);
        Assert.Single(peer.Requests);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_TooManyRequests_IsRepeatedAfterTheTimeThatTheServerNames()
    {
        var calls = 0;
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", (HttpContext context) =>
        {
            if (++calls == 3) return Results.Ok(NoDatasets);
            context.Response.Headers.RetryAfter = calls == 1 ? "2" : "0";
            return HttpsPeer.Problem(429, ProblemTypes.TooManyRequests, "Too many.");
        }));
        using var client = peer.Connect(Options);

        Assert.Empty(await client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Equal([TimeSpan.FromMilliseconds(2050), TimeSpan.FromMilliseconds(100)], time.Waits);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_AskedToWaitLongerThanTheClientWould_FailsAtOnce()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", (HttpContext context) =>
        {
            context.Response.Headers.RetryAfter = "61";
            return HttpsPeer.Problem(429, ProblemTypes.TooManyRequests, "Too many.");
        }));
        using var client = peer.Connect(Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.TooManyRequests, exception.Problem.Type);
        Assert.Single(peer.Requests);
        Assert.Empty(time.Waits);
    }

    [Fact(Timeout = 30_000)]
    public async Task Post_TooManyRequests_IsNotRepeated()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost(
            "/api/v1/trainings", () => HttpsPeer.Problem(429, ProblemTypes.TooManyRequests, "Too many.")));
        using var client = peer.Connect(Options);

        await Assert.ThrowsAsync<ModelOpsException>(
            () => client.Jobs.StartTrainingAsync(new CreateTraining { Base = "b", Dataset = "d", Name = "n" }, TestContext.Current.CancellationToken));

        Assert.Single(peer.Requests);
    }

    [Theory]
    [InlineData(null, 0)]
    [InlineData("7", 7)]
    [InlineData("Thu, 01 Jan 1970 00:00:30 GMT", 30)]
    [InlineData("Wed, 31 Dec 1969 23:59:59 GMT", 0)]
    public void AskedWait_EachForm_IsTheTimeToWait(string? retryAfter, int seconds)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.TooManyRequests);
        if (retryAfter is not null) response.Headers.Add("Retry-After", retryAfter);

        Assert.Equal(TimeSpan.FromSeconds(seconds), RetryRules.AskedWait(response, new Epoch()));
    }

    [Fact(Timeout = 30_000)]
    public async Task Post_NothingListens_IsRepeatedBecauseNothingWasSent()
    {
        using var client = new ModelOpsClient(UnusedAddress(), HttpsPeer.ApiKey, null, Options);

        var exception = await Assert.ThrowsAsync<ServerUnreachableException>(() => client.Jobs.CancelAsync("1", TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.Unavailable, exception.Problem.Type);
        Assert.Contains("modelops serve", exception.Message, StringComparison.Ordinal);
        Assert.Equal(3, time.Waits.Count(wait => wait < TimeSpan.FromSeconds(1)));
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_KeyAndTrust_GoOverHttp2WithTheKey()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", () => NoDatasets));
        using var client = peer.Connect();

        await client.Datasets.ListAsync(TestContext.Current.CancellationToken);

        Assert.Equal(["GET /api/v1/datasets HTTP/2 Bearer mo_test"], peer.Requests);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_AuthorityNotTrusted_IsUnreachableAndNothingIsSent()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", () => NoDatasets));
        await using var other = await HttpsPeer.StartAsync(_ => { });
        using var client = new ModelOpsClient(peer.Address, HttpsPeer.ApiKey, other.CaPath, Options);

        var exception = await Assert.ThrowsAsync<ServerUnreachableException>(() => client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Contains("not trusted", exception.Message, StringComparison.Ordinal);
        Assert.Empty(peer.Requests);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_NameNotOfTheCertificate_IsUnreachable()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets", () => NoDatasets));
        var byName = new UriBuilder(peer.Address) { Host = "localhost" }.Uri;
        using var client = new ModelOpsClient(byName, HttpsPeer.ApiKey, peer.CaPath, Options);

        await Assert.ThrowsAsync<ServerUnreachableException>(() => client.Datasets.ListAsync(TestContext.Current.CancellationToken));

        Assert.Empty(peer.Requests);
    }

    [Fact(Timeout = 30_000)]
    public async Task GetReadiness_SomethingElseAnswers_SaysThatItIsNoModelOpsServer()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/other/readyz", () => Results.Text("<html>hello</html>", "text/html")));
        using var client = new ModelOpsClient(new Uri(peer.Address, "other"), null, peer.CaPath, Options);

        var exception = await Assert.ThrowsAsync<ServerUnreachableException>(() => client.GetReadinessAsync(TestContext.Current.CancellationToken));

        Assert.Contains("not a ModelOps server", exception.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("a/b")]
    [InlineData("../datasets")]
    [InlineData("x?kind=model#y")]
    [InlineData("%2e%2e")]
    public async Task Get_NameWithReservedCharacters_StaysOneSegment(string name)
    {
        string? seen = null;
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/artifacts/{reference}", (string reference) =>
        {
            seen = reference.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase); // routing leaves this one escaped
            return HttpsPeer.Problem(404, ProblemTypes.NotFound, "No such artifact.");
        }));
        using var client = peer.Connect(Options);

        await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.GetAsync(name, TestContext.Current.CancellationToken));

        Assert.Equal(name, seen);
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    public async Task Get_NameThatIsNoSegment_IsRefusedBeforeItIsSent(string name)
    {
        using var client = new ModelOpsClient(UnusedAddress(), null, null, Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.GetAsync(name, TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.Invalid, exception.Problem.Type);
    }

    [Fact(Timeout = 30_000)]
    public async Task Get_AnswerIsNotTheDocument_SaysWhatToCheck()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/datasets/{name}", () => Results.Text("[]", "application/json")));
        using var client = peer.Connect(Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Datasets.GetAsync("d", cancellationToken: TestContext.Current.CancellationToken));

        Assert.Contains("same version", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/problem+json", """{"type":"urn:modelops:problem:conflict","title":"T","detail":"Taken.","errors":["a","b"]}""", 409, ProblemTypes.Conflict, "Taken.")]
    [InlineData("application/json", """{"error":{"message":"No model x.","type":"invalid_request_error","param":null,"code":"model_not_found"}}""", 404, ProblemTypes.NotFound, "No model x.")]
    [InlineData("text/html", "<html>bad gateway</html>", 502, ProblemTypes.Unavailable, "The server answered 502 Reason.")]
    [InlineData("application/problem+json", "{", 403, ProblemTypes.Forbidden, "The server answered 403 Reason.")]
    [InlineData("application/json", "{}", 401, ProblemTypes.Unauthorized, "The server answered 401 Reason.")]
    [InlineData("text/html", "<html>slow down</html>", 429, ProblemTypes.TooManyRequests, "The server answered 429 Reason.")]
    [InlineData(null, "", 500, ProblemTypes.Internal, "The server answered 500 Reason.")]
    public void ParseProblem_EachForm_HasTypeStatusAndDetail(string? mediaType, string body, int status, string type, string detail)
    {
        var problem = ProblemReader.Parse(Encoding.UTF8.GetBytes(body), mediaType, status, "Reason");

        Assert.Equal((type, status, detail), (problem.Type, problem.Status, problem.Detail));
    }

    [Theory]
    [InlineData("application/problem+json", """{"type":"urn:x","title":"T","status":400,"detail":"D","errors":["a"]}""")]
    [InlineData("application/json", """{"error":{"message":"M","type":"t","param":null,"code":null}}""")]
    public void ParseProblem_MutatedBytes_AlwaysGivesAProblemOfThatStatus(string mediaType, string body)
    {
        var random = new Random(7);
        for (var round = 0; round < 3000; round++)
        {
            var bytes = Encoding.UTF8.GetBytes(body);
            for (var edit = random.Next(1, 5); edit > 0; edit--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            var problem = ProblemReader.Parse(bytes.AsSpan(0, random.Next(bytes.Length + 1)), mediaType, 418, null);

            Assert.Equal(418, problem.Status);
            Assert.NotNull(problem.Errors);
        }
    }

    [Fact]
    public void Wire_AbsentProperties_HaveTheirDefaults()
    {
        Assert.Equal("about:blank", JsonSerializer.Deserialize("{}", WireJson.Default.Problem)!.Type);
        Assert.Empty(JsonSerializer.Deserialize("{}", WireJson.Default.Problem)!.Errors);
        Assert.Equal(["Q8_0"], JsonSerializer.Deserialize("""{"artifact":"a","name":"n"}""", WireJson.Default.CreateQuantization)!.Types);
    }

    private sealed class Epoch : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch;
    }

    private static Uri UnusedAddress()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return new Uri($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
    }
}
