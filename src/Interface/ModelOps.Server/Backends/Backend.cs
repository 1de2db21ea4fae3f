using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Client;
using ModelOps.Inference;

namespace ModelOps.Server.Backends;

/// <summary>A configured backend and how it was when it was last asked.</summary>
internal sealed class Backend : IDisposable
{
    private static readonly TimeSpan connectPatience = TimeSpan.FromSeconds(5);
    private readonly HttpClient http;
    private readonly IRemoteBackend remote;

    public Backend(string name, BackendOptions options, TimeProvider time)
    {
        (Name, Options) = (name, options);
#pragma warning disable CA2000 // the client disposes its handler
        http = new HttpClient(Handler(options))
#pragma warning restore CA2000
        {
            BaseAddress = new Uri(options.Url.AbsoluteUri.TrimEnd('/') + '/'),
            Timeout = Timeout.InfiniteTimeSpan, // each call has its own
        };
        if (options.Key is { } key) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        remote = options.Kind == BackendKind.Ollama ? new OllamaBackend(http, name) : new OpenAIBackend(http, name);
        Resilient = new ResilientBackend(
            remote,
            name,
            new BackendPatience
            {
                FirstToken = options.FirstToken,
                NextToken = options.NextToken,
                Retries = options.Retries,
                BreakAfter = options.BreakAfter,
                BreakFor = options.BreakFor,
            },
            time);
        View = new BackendStatus { Name = name, Kind = options.Kind == BackendKind.Ollama ? "ollama" : "openai", Url = options.Url, State = BackendStates.Starting };
    }

    public string Name { get; }

    public BackendOptions Options { get; }

    public ResilientBackend Resilient { get; }

    public BackendStatus View { get; private set; }

    /// <returns>The models that it offers now; none if it is down.</returns>
    public async Task<IReadOnlyList<string>> CheckAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(connectPatience);
        try
        {
            var listed = await remote.ListModelsAsync(limit.Token);
            var offered = Options.Models.Count == 0 ? listed : [.. Options.Models.Where(model => Has(listed, model))];
            var missing = Options.Models.Except(offered, StringComparer.Ordinal).ToList();
            View = View with
            {
                State = BackendStates.Ready,
                Models = offered,
                CheckedAt = now,
                Error = missing.Count > 0 ? $"it does not list {string.Join(", ", missing)}" : null,
            };
        }
        catch (InferenceException e)
        {
            View = View with { State = BackendStates.Down, Models = [], CheckedAt = now, Error = e.Message };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            View = View with { State = BackendStates.Down, Models = [], CheckedAt = now, Error = $"it did not answer within {connectPatience.TotalSeconds:0} s" };
        }
        return View.Models;
    }

    public void Dispose() => http.Dispose();

    // Ollama lists "name:latest" for what its users call "name".
    private static bool Has(IReadOnlyList<string> listed, string model) =>
        listed.Contains(model, StringComparer.Ordinal) || listed.Contains($"{model}:latest", StringComparer.Ordinal);

    private static SocketsHttpHandler Handler(BackendOptions options) => new()
    {
        ConnectTimeout = connectPatience,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5), // a name may come to mean another machine
        AllowAutoRedirect = false,
        UseCookies = false,
        AutomaticDecompression = DecompressionMethods.None,
        SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = options.Ca is { } file ? Trusting(file) : null },
    };

    private static X509ChainPolicy Trusting(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy;
    }
}
