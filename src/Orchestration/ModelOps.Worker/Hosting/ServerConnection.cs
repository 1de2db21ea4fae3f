using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Workflows;
using Temporalio.Client;

namespace ModelOps.Worker.Hosting;

/// <summary>The one server that this worker works for: where activities come from and where reports go, over the same TLS port and with the same token.</summary>
public sealed partial class ServerConnection : IDisposable
{
    public const string AddressVariable = "MODELOPS_SERVER";
    public const string TokenVariable = "MODELOPS_TOKEN";
    public const string AuthorityVariable = "MODELOPS_CA";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(2);
    private readonly Uri address;
    private readonly string token;
    private readonly string? authority;
    private readonly HttpClient http;

    /// <param name="authority">PEM file of the authority that signed the server's certificate; null: the system's authorities.</param>
    public ServerConnection(Uri address, string token, string? authority)
    {
        (this.address, this.token, this.authority) = (address, token, authority);
#pragma warning disable CA2000 // the HttpClient owns the handler
        http = new HttpClient(new SocketsHttpHandler
        {
            ConnectTimeout = patience,
            SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = authority is null ? null : Trusting(authority) },
        })
#pragma warning restore CA2000
        {
            BaseAddress = address,
            Timeout = patience,
        };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    /// <summary>From what the server put into the environment, or whoever started this worker on another machine.</summary>
    /// <param name="errors">Every fault, if the result is null.</param>
    public static ServerConnection? FromEnvironment(out IReadOnlyList<string> errors)
    {
        var faults = new List<string>();
        if (!Uri.TryCreate(Environment.GetEnvironmentVariable(AddressVariable), UriKind.Absolute, out var address) || address.Scheme != Uri.UriSchemeHttps)
            faults.Add($"{AddressVariable} must be the server's address, such as https://host:8443");
        if (Environment.GetEnvironmentVariable(TokenVariable) is not { Length: > 0 } token)
        {
            token = "";
            faults.Add($"{TokenVariable} must be an API key with the role service");
        }
        var authorityFile = Environment.GetEnvironmentVariable(AuthorityVariable) is { Length: > 0 } file ? file : null;
        if (authorityFile is not null && !File.Exists(authorityFile)) faults.Add($"{AuthorityVariable} names no file: {authorityFile}");
        errors = faults;
        return faults.Count > 0 ? null : new(address!, token, authorityFile);
    }

    /// <summary>Connects to the workflows behind the server; tries until it can.</summary>
    public async Task<TemporalClient> ConnectAsync(string identity, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger<ServerConnection>();
        while (true)
        {
            try
            {
                var settings = await http.GetFromJsonAsync("api/v1/workers/settings", ActivityJson.Default.WorkerSettings, cancellationToken);
                return await TemporalClient.ConnectAsync(new(string.Create(CultureInfo.InvariantCulture, $"{address.Host}:{address.Port}"))
                {
                    Namespace = settings!.Namespace,
                    ApiKey = token,
                    Tls = new TlsOptions { ServerRootCACert = authority is null ? null : await File.ReadAllBytesAsync(authority, cancellationToken) },
                    Identity = identity,
                    DataConverter = HistoryData.Converter,
                    LoggerFactory = loggers,
                });
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotConnected(logger, address, e.Message);
                await Task.Delay(pause, cancellationToken);
            }
        }
    }

    /// <exception cref="HttpRequestException">The server could not be reached, or refused.</exception>
    public async Task ReportAsync(string job, JobReport report, CancellationToken cancellationToken)
    {
        using var response = await http.PostAsJsonAsync(
            $"api/v1/jobs/{Uri.EscapeDataString(job)}/reports", report, ActivityJson.Default.JobReport, cancellationToken);
        response.EnsureSuccessStatusCode();
    }

    /// <exception cref="HttpRequestException">The server could not be reached, or refused.</exception>
    public async Task TellSpansAsync(IReadOnlyList<SpanRecord> spans, CancellationToken cancellationToken)
    {
        using var response = await http.PostAsJsonAsync("api/v1/workers/spans", spans, ActivityJson.Default.IReadOnlyListSpanRecord, cancellationToken);
        response.EnsureSuccessStatusCode();
    }

    public void Dispose() => http.Dispose();

    private static X509ChainPolicy Trusting(string authority)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(authority);
        return policy;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "not connected to {Server}: {Reason}; trying again")]
        public static partial void NotConnected(ILogger logger, Uri server, string reason);
    }
}
