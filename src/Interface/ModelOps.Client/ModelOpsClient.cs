using System.Net;

namespace ModelOps.Client;

/// <summary>
/// The .NET SDK of a ModelOps server. Thread-safe; keep one for the life of the process: it holds the HTTP/2 connection.
/// </summary>
/// <remarks>
/// Every call can throw <see cref="ModelOpsException"/> (the server refused, its <see cref="Problem"/> says why),
/// <see cref="ServerUnreachableException"/> (no answer after the retries) and <see cref="OperationCanceledException"/>.
/// GET, HEAD, PUT and DELETE are retried after connection failures and 502, 503, 504; POST only when the connection was never made.
/// </remarks>
public sealed class ModelOpsClient : IDisposable
{
    private readonly ApiConnection connection;

    /// <param name="server">Address of the server, for example <c>https://127.0.0.1:8000</c>.</param>
    /// <param name="apiKey">A key that starts with <c>mo_</c>; null for a server's health only.</param>
    /// <param name="caCertificatePath">PEM file of the only authority to trust; null trusts the system's.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="ArgumentException">The address is not absolute.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The file holds no PEM certificate.</exception>
    public ModelOpsClient(Uri server, string? apiKey, string? caCertificatePath = null, ClientOptions? options = null)
        : this(_ => ValueTask.FromResult(apiKey), server, caCertificatePath, options)
    {
    }

    private ModelOpsClient(Func<CancellationToken, ValueTask<string?>> bearer, Uri server, string? caCertificatePath, ClientOptions? options)
    {
        if (!server.IsAbsoluteUri)
        {
            throw new ArgumentException($"The server's address '{server}' is not absolute; write it like https://127.0.0.1:8000.", nameof(server));
        }
        connection = new ApiConnection(server, bearer, caCertificatePath, options ?? new ClientOptions());
        Artifacts = new ArtifactsClient(connection);
        Datasets = new DatasetsClient(connection, Artifacts);
        Packages = new PackagesClient(connection, Artifacts);
        SigningKeys = new SigningKeysClient(connection);
        Jobs = new JobsClient(connection);
        Deployments = new DeploymentsClient(connection);
        Chat = new ChatClient(connection);
        Backup = new BackupClient(connection);
        Auth = new AuthClient(connection);
        Users = new UsersClient(connection);
        Keys = new KeysClient(connection);
        Audit = new AuditClient(connection);
        Workers = new WorkersClient(connection);
        Backends = new BackendsClient(connection);
    }

    /// <summary>A client that asks for the access token of each request, so that it can be renewed.</summary>
    /// <inheritdoc cref="ModelOpsClient(Uri, string, string, ClientOptions)"/>
    public static ModelOpsClient WithTokens(
        Uri server, Func<CancellationToken, ValueTask<string?>> accessToken, string? caCertificatePath = null, ClientOptions? options = null) =>
        new(accessToken, server, caCertificatePath, options);

    public Uri Server => connection.Server;

    public ArtifactsClient Artifacts { get; }

    public DatasetsClient Datasets { get; }

    public PackagesClient Packages { get; }

    public SigningKeysClient SigningKeys { get; }

    public JobsClient Jobs { get; }

    public DeploymentsClient Deployments { get; }

    public ChatClient Chat { get; }

    public BackupClient Backup { get; }

    public AuthClient Auth { get; }

    public UsersClient Users { get; }

    public KeysClient Keys { get; }

    public AuditClient Audit { get; }

    public WorkersClient Workers { get; }

    public BackendsClient Backends { get; }

    /// <summary>Asks once, without retries, whether the server is ready; it names the parts that are not.</summary>
    /// <exception cref="ServerUnreachableException">Nothing answers.</exception>
    public async Task<Readiness> GetReadinessAsync(CancellationToken cancellationToken = default)
    {
        using var response = await connection.SendOnceAsync(HttpMethod.Get, "readyz", cancellationToken).ConfigureAwait(false);
        if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable)
        {
            try
            {
                return await response.ReadAsync(WireJson.Default.Readiness, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or HttpRequestException)
            {
                throw connection.Unreachable(exception);
            }
            catch (ModelOpsException exception)
            {
                throw new ServerUnreachableException(
                    Server, $"What answers at {Server} is not a ModelOps server: {(int)response.StatusCode} without a readiness document.", exception);
            }
        }
        throw await ProblemReader.ReadAsync(response, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The settings that the server runs with and where each comes from, secrets hidden. For admins.</summary>
    public async Task<IReadOnlyList<ConfiguredValue>> GetConfigurationAsync(CancellationToken cancellationToken = default)
    {
        var page = await connection.GetAsync("api/v1/config", WireJson.Default.PageConfiguredValue, cancellationToken).ConfigureAwait(false);
        return page.Items;
    }

    public void Dispose() => connection.Dispose();
}
