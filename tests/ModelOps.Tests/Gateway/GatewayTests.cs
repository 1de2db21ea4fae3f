using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>One server for the tests of its surface.</summary>
public sealed class GatewayFixture : IAsyncLifetime
{
    private TestServer? server;

    internal TestServer Server => server!;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync(TestServer.NewHome(), CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        if (server is null) return;
        await server.DisposeAsync();
        Directory.Delete(server.Home, recursive: true);
    }
}

/// <summary>What the gateway refuses, and in whose words; over real HTTPS that trusts the local CA alone.</summary>
[EmbeddedOnly("what it refuses, it refuses before a store is asked")]
public sealed partial class GatewayTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/api/v1/artifacts")]
    [InlineData("GET", "/api/v1/jobs")]
    [InlineData("POST", "/api/v1/trainings")]
    [InlineData("PUT", "/api/v1/blobs/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    public async Task Api_WithoutAKey_IsRefused(string method, string path)
    {
        using var http = Connect(key: null);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await http.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
        Assert.Equal(ProblemTypes.Unauthorized, (await ProblemOf(response)).Type);
    }

    [Fact]
    public async Task OpenAI_WithAWrongKey_AnswersInOpenAIsWords()
    {
        using var http = Connect("mo_" + new string('A', 43));
        using var response = await http.GetAsync(Address("/v1/models"), Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("\"code\":\"invalid_api_key\"", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_WithoutAKey_Answers()
    {
        using var http = Connect(key: null);
        Assert.Equal("ok", await http.GetStringAsync(Address("/healthz"), Cancel));
        // Beside other tests a probe of the object store may take longer than readiness waits; then the answer is 503, and says so.
        await Eventually.HoldsAsync(
            async () =>
            {
                using var response = await http.GetAsync(Address("/readyz"), Cancel);
                return response.StatusCode == HttpStatusCode.OK
                    && (await response.Content.ReadAsStringAsync(Cancel)).Contains("\"ready\"", StringComparison.Ordinal);
            },
            Cancel);
    }

    [Theory]
    [InlineData("/api/v1/nothing")]
    [InlineData("/api/v1/jobs/job-1")]
    [InlineData("/api/v1/artifacts/nobody")]
    [InlineData("/api/v1/datasets/nobody")]
    [InlineData("/api/v1/deployments/nobody")]
    public async Task Get_OfWhatIsNotThere_IsNotFound(string path)
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var response = await http.GetAsync(Address(path), Cancel);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(ProblemTypes.NotFound, (await ProblemOf(response)).Type);
    }

    [Fact]
    public async Task PutBlob_OfOtherBytesThanAnnounced_StoresNothing()
    {
        using var http = Connect(fixture.Server.ApiKey);
        var announced = Convert.ToHexStringLower(SHA256.HashData("announced"u8));
        using var body = new ByteArrayContent("something else"u8.ToArray());
        using var response = await http.PutAsync(Address($"/api/v1/blobs/{announced}"), body, Cancel);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, response.StatusCode);
        Assert.Equal(ProblemTypes.VerificationFailed, (await ProblemOf(response)).Type);
        using var head = await http.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"/api/v1/blobs/{announced}"), Cancel);
        Assert.Equal(HttpStatusCode.NotFound, head.StatusCode);
    }

    [Fact]
    public async Task CreateArtifact_TwiceTheSameVersion_IsAConflict()
    {
        using var http = Connect(fixture.Server.ApiKey);
        var file = await UploadAsync(http, "twice"u8.ToArray());
        var create = new CreateArtifact { Name = "twice", Version = "1.0", Kind = "model", Files = [file] };
        using var first = await http.PostAsJsonAsync(Address("/api/v1/artifacts"), create, WireJson.Default.CreateArtifact, Cancel);
        using var second = await http.PostAsJsonAsync(Address("/api/v1/artifacts"), create, WireJson.Default.CreateArtifact, Cancel);
        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, second.StatusCode);
        Assert.Equal(ProblemTypes.Conflict, (await ProblemOf(second)).Type);
    }

    [Fact]
    public async Task CreateArtifact_WithManyFaults_NamesThemAll()
    {
        using var http = Connect(fixture.Server.ApiKey);
        var create = new CreateArtifact { Name = "Bad Name", Kind = "thing", Files = [new("../escape", 1, new string('0', 64))] };
        using var response = await http.PostAsJsonAsync(Address("/api/v1/artifacts"), create, WireJson.Default.CreateArtifact, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await ProblemOf(response);
        Assert.Contains(problem.Errors, error => error.Contains("Bad Name", StringComparison.Ordinal));
        Assert.Contains(problem.Errors, error => error.Contains("thing", StringComparison.Ordinal));
        Assert.Contains(problem.Errors, error => error.Contains("../escape", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Post_QuantizationWithAnUnknownProperty_IsNotTakenForTheDefault()
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var content = new StringContent("{\"artifact\":\"a\",\"name\":\"n\",\"type\":\"Q4_0\"}", Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(Address("/api/v1/quantizations"), content, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("type", (await ProblemOf(response)).Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/v1/trainings", "{", "trainings")]
    [InlineData("/api/v1/trainings", "{\"base\":\"b\"}", "dataset")]
    [InlineData("/api/v1/trainings", "{\"base\":\"b\",\"dataset\":\"d\",\"name\":\"n\",\"rank\":0,\"learning_rate\":7}", "rank")]
    [InlineData("/api/v1/quantizations", "{\"artifact\":\"a\",\"name\":\"n\",\"types\":[\"Q1_X\"]}", "Q1_X")]
    [InlineData("/api/v1/evaluations", "{\"artifact\":\"a\",\"dataset\":\"d\",\"split\":\"dev\",\"rows\":0}", "split 'dev'")]
    [InlineData("/api/v1/deployments", "{\"artifact\":\"a\",\"name\":\"n\",\"slots\":0}", "slots")]
    public async Task Post_OfABadBody_SaysWhatIsWrong(string path, string body, string hint)
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(Address(path), content, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await ProblemOf(response);
        Assert.Equal(body == "{" ? ProblemTypes.Malformed : ProblemTypes.Invalid, problem.Type);
        if (body != "{") Assert.Contains(hint, $"{problem.Detail} {string.Join(' ', problem.Errors)}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"model\":\"m\",\"messages\":[]}", "at least one message")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "robot")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "parts of type text")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"suffix\":\"x\"}", "suffix is not offered")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stop\":[\"\"]}", "stop must be")]
    public async Task Chat_WithABadRequest_IsRefusedByName(string body, string hint)
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(Address("/v1/chat/completions"), content, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("invalid_request_error", text, StringComparison.Ordinal);
        Assert.Contains(hint, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Training_OnAMissingBase_FailsWithWhatToDo()
    {
        var jobs = fixture.Server.Client.Jobs;
        var job = await jobs.StartTrainingAsync(new CreateTraining { Base = "nobody", Dataset = "nothing", Name = "x" }, Cancel);
        var events = await jobs.WatchAsync(job.Id, cancellationToken: Cancel).ToListAsync(Cancel);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(e => e.Sequence));
        Assert.Equal(JobState.Failed, events[^1].State);
        var ended = await jobs.GetAsync(job.Id, Cancel);
        Assert.Equal("invalid_input", ended.Error!.Type);
        Assert.Contains("nobody", ended.Error.Message, StringComparison.Ordinal);
        Assert.Equal(JobState.Failed, (await jobs.CancelAsync(job.Id, Cancel)).State); // an ended job stays as it ended
    }

    [Fact]
    public async Task Artifacts_PushedListedVerified_AreAsTheyWere()
    {
        var client = fixture.Server.Client;
        var folder = Directory.CreateTempSubdirectory("modelops-push-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", Cancel);
        var pushed = await client.Artifacts.PushAsync("pushed", "model", await LocalFiles.HashFolderAsync(folder, Cancel), cancellationToken: Cancel);
        Directory.Delete(folder, recursive: true);
        Assert.Equal("1", pushed.Version);
        Assert.Contains(await client.Artifacts.ListAsync(cancellationToken: Cancel), artifact => artifact.Digest == pushed.Digest);
        Assert.True((await client.Artifacts.VerifyAsync("pushed@1", Cancel)).Verified);
    }

    [Fact]
    public async Task CancelJob_ManyAtOnceWhileItRuns_EveryRequestSucceedsAndNoEventIsLost()
    {
        var jobs = fixture.Server.Client.Jobs;
        for (var round = 0; round < 8; round++)
        {
            var job = await jobs.StartTrainingAsync(new CreateTraining { Base = "nobody", Dataset = "nothing", Name = "x" }, Cancel);
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => jobs.CancelAsync(job.Id, Cancel))).WaitAsync(TimeSpan.FromSeconds(60), Cancel);
            var events = await jobs.WatchAsync(job.Id, cancellationToken: Cancel).ToListAsync(Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancel);
            Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(e => e.Sequence));
            Assert.Single(events, e => e.State is JobState.Canceled or JobState.Failed);
        }
    }

    private static Uri Address(string path) => new(path, UriKind.Relative);

    private HttpClient Connect(string? key)
    {
        var authority = X509CertificateLoader.LoadCertificateFromFile(fixture.Server.CaCertificate);
        var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { authority },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        var http = new HttpClient(handler) { BaseAddress = fixture.Server.Client.Server, DefaultRequestVersion = HttpVersion.Version20 };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }

    private static async Task<ArtifactFile> UploadAsync(HttpClient http, byte[] bytes)
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(bytes));
        using var body = new ByteArrayContent(bytes);
        using var response = await http.PutAsync(Address($"/api/v1/blobs/{digest}"), body, Cancel);
        response.EnsureSuccessStatusCode();
        return new("file.bin", bytes.Length, digest);
    }

    private static async Task<Problem> ProblemOf(HttpResponseMessage response)
    {
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return (await response.Content.ReadFromJsonAsync(WireJson.Default.Problem, Cancel))!;
    }
}
