using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using ModelOps.Tests.Telemetry;
using ModelOps.Tests.Training;

namespace ModelOps.Tests.Deployments;

/// <summary>
/// A real server with what can be served: <c>base-q8</c> and <c>other-q8</c>, ggufs of the models <c>base</c> and <c>other</c>, and <c>tone</c>, an
/// adapter of <c>base</c> that says other things than it.
/// </summary>
public sealed class ServingServer : IAsyncLifetime
{
    private readonly TrainingServer training = new();

    public string Home => training.Home;

    public ModelOpsClient Client => training.Client;

    internal TestServer Server => training.Server;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await training.InitializeAsync();
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await Client.Artifacts.PushAsync("other", "model", files, progress: null, Cancel);
        Job[] jobs =
        [
            await Client.Jobs.StartTrainingAsync(
                new CreateTraining { Base = "base", Dataset = "rows", Name = "tone", MaxSteps = 12, LearningRate = 0.02, BatchSize = 4, SequenceLength = 64, Seed = 7 }, Cancel),
            await Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "base", Types = ["Q8_0"], Name = "base-q8" }, Cancel),
            await Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "other", Types = ["Q8_0"], Name = "other-q8" }, Cancel),
        ];
        await Task.WhenAll(jobs.Select(training.SucceedAsync));
    }

    public ValueTask DisposeAsync() => training.DisposeAsync();

    /// <inheritdoc cref="TrainingServer.RestartAsync"/>
    public Task RestartAsync(params string[] settings) => training.RestartAsync(settings);

    public Task<Deployment> DeployAsync(string artifact, string name, params (string Name, string Artifact)[] adapters) => Client.Deployments.CreateAsync(
        new CreateDeployment { Name = name, Artifact = artifact, Slots = 4, Adapters = adapters.ToDictionary(adapter => adapter.Name, adapter => adapter.Artifact, StringComparer.Ordinal) },
        Cancel);

    /// <returns>What the model says first, greedily.</returns>
    public async Task<string> AskAsync(string model) => (await Client.Chat.CompleteAsync(
        new ChatRequest { Model = model, Messages = [new("user", "What does \"river\" mean?")], MaxTokens = 16, Temperature = 0 }, cancellationToken: Cancel)).Content;

    /// <summary>What /metrics tells now.</summary>
    internal async Task<IReadOnlyList<Sample>> MetricsAsync()
    {
        using var handler = new SocketsHttpHandler();
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Server.CaCertificate);
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { authority },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        using var http = new HttpClient(handler) { BaseAddress = Client.Server };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Server.ApiKey);
        return PrometheusText.Parse(await http.GetStringAsync(new Uri("metrics", UriKind.Relative), Cancel));
    }
}

/// <summary>The tests that share one <see cref="ServingServer"/>, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class ServingTests : ICollectionFixture<ServingServer>
{
    public const string Name = "serving";
}
