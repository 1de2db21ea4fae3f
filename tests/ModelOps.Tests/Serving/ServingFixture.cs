using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Services.Tests.Ggml;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Serving;

/// <summary>
/// A server that serves the bundled model as <c>words</c> and <c>other</c>, and as a backend a peer that answers as told; and a second server whose backends are
/// the first one, over both of its APIs.
/// </summary>
public sealed class ServingFixture : IAsyncLifetime
{
    private ScriptedPeer? peer;
    private TestServer? server;
    private TestServer? second;

    /// <summary>Of a file of OpenAI's API.</summary>
    public const int MaxFileBytes = 1 << 20;

    /// <summary>In the names of models that are fine-tuned.</summary>
    public const string Organization = "acme";

    internal ScriptedPeer Peer => peer!;

    internal TestServer Server => server!;

    /// <summary>Its model <c>words</c> is the first server's over OpenAI's API, <c>other</c> over Ollama's.</summary>
    internal TestServer Second => second!;

    public async ValueTask InitializeAsync()
    {
        peer = await ScriptedPeer.StartAsync();
        server = await TestServer.StartAsync(TestServer.NewHome(), new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS__BACKENDS__PEER__KIND"] = "openai",
            ["MODELOPS__BACKENDS__PEER__URL"] = $"{peer.Address}/v1",
            ["MODELOPS__BACKENDS__PEER__KEY"] = ScriptedPeer.Key,
            ["MODELOPS__BACKENDS__PEER__CHECK_EVERY"] = "100ms",
            ["MODELOPS__BACKENDS__PEER__FIRST_TOKEN"] = "2s",
            ["MODELOPS__BACKENDS__PEER__NEXT_TOKEN"] = "500ms",
            ["MODELOPS__BACKENDS__PEER__BREAK_AFTER"] = "100", // the breaker has a test of its own
            ["MODELOPS__FILES__MAX_BYTES"] = $"{MaxFileBytes}",
            ["MODELOPS__FINE_TUNING__ORGANIZATION"] = Organization,
        }, CancellationToken.None);
        await DeployAsync(server.Client, CancellationToken.None);
        second = await TestServer.StartAsync(TestServer.NewHome(), new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS__BACKENDS__FIRST__KIND"] = "openai",
            ["MODELOPS__BACKENDS__FIRST__URL"] = new Uri(server.Client.Server, "v1").AbsoluteUri,
            ["MODELOPS__BACKENDS__FIRST__KEY"] = server.ApiKey,
            ["MODELOPS__BACKENDS__FIRST__CA"] = server.CaCertificate,
            ["MODELOPS__BACKENDS__FIRST__MODELS"] = "words,tools,vectors",
            ["MODELOPS__BACKENDS__OLLAMA__KIND"] = "ollama",
            ["MODELOPS__BACKENDS__OLLAMA__URL"] = server.Client.Server.AbsoluteUri,
            ["MODELOPS__BACKENDS__OLLAMA__KEY"] = server.ApiKey,
            ["MODELOPS__BACKENDS__OLLAMA__CA"] = server.CaCertificate,
            ["MODELOPS__BACKENDS__OLLAMA__MODELS"] = "other,thinker",
        }, CancellationToken.None);
        await Eventually.HoldsAsync(
            async () => (await second.Client.Backends.ListAsync()).All(backend => backend.State == BackendStates.Ready), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var started in new[] { second, server }.OfType<TestServer>())
        {
            await started.DisposeAsync();
            Directory.Delete(started.Home, recursive: true);
        }
        if (peer is not null) await peer.DisposeAsync();
    }

    internal static HttpClient Connect(TestServer to, bool withKey = true)
    {
        var http = new HttpClient(Handler(to)) { BaseAddress = to.Client.Server, DefaultRequestVersion = HttpVersion.Version20, Timeout = TimeSpan.FromSeconds(60) };
        if (withKey) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", to.ApiKey);
        return http;
    }

    internal static SocketsHttpHandler Handler(TestServer to) => new() { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = Trust(to) } };

    internal static X509ChainPolicy Trust(TestServer to) => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(to.CaCertificate) },
        RevocationMode = X509RevocationMode.NoCheck,
    };

    /// <summary>Deploys a small random encoder on the first server.</summary>
    /// <param name="pooling">1: it has vectors for texts; 4: it scores documents.</param>
    /// <returns>Its file.</returns>
    internal async Task<string> DeployEncoderAsync(string name, uint pooling, CancellationToken cancel)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Server.Home, "encoders", name)).FullName;
        var file = Path.Combine(folder, $"{name}.gguf");
        new TinyBert { Pooling = pooling }.Write(file);
        await Server.Client.Artifacts.PushAsync($"{name}-gguf", "gguf", await LocalFiles.HashFolderAsync(folder, cancel), progress: null, cancel);
        var deployed = await Server.Client.Deployments.CreateAsync(new CreateDeployment { Name = name, Artifact = $"{name}-gguf" }, cancel);
        Assert.True(deployed.State == "ready", deployed.Error);
        return file;
    }

    private static async Task DeployAsync(ModelOpsClient client, CancellationToken cancel)
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), cancel);
        await client.Artifacts.PushAsync("base", "model", files, progress: null, cancel);
        var job = await client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "base", Types = ["Q8_0"], Name = "words-q8" }, cancel);
        await client.Jobs.WatchAsync(job.Id, cancellationToken: cancel).LastAsync(cancel);
        var ended = await client.Jobs.GetAsync(job.Id, cancel);
        Assert.True(ended.State == JobState.Succeeded, $"{ended.State} {ended.Error}");
        foreach (var name in new[] { "words", "other" })
            await client.Deployments.CreateAsync(new CreateDeployment { Name = name, Artifact = "words-q8", Slots = 4, ContextSize = 512 }, cancel);
    }
}

/// <summary>The tests of serving share their servers.</summary>
[CollectionDefinition(nameof(ServingCollection))]
public sealed class ServingCollection : ICollectionFixture<ServingFixture>;

/// <summary>Requests as plain HTTP, for what SDKs hide.</summary>
internal static class Http
{
    public static async Task<(int Status, JsonElement Body)> PostAsync(this HttpClient http, string path, string json, CancellationToken cancel)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(new Uri(path, UriKind.Relative), content, cancel);
        var text = await response.Content.ReadAsStringAsync(cancel);
        return ((int)response.StatusCode, JsonElement.Parse(text));
    }

    /// <returns>The data of each server-sent event but the end mark.</returns>
    public static async Task<IReadOnlyList<JsonElement>> StreamAsync(this HttpClient http, string path, string json, CancellationToken cancel)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        await using var stream = await response.Content.ReadAsStreamAsync(cancel);
        return await System.Net.ServerSentEvents.SseParser.Create(stream).EnumerateAsync(cancel)
            .Where(item => item.Data != "[DONE]").Select(item => JsonElement.Parse(item.Data)).ToListAsync(cancel);
    }

    public static string Text(this JsonElement element, params string[] path) => path.Aggregate(element, (at, name) => at.GetProperty(name)).GetString()!;
}
