using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Registry;
using ModelOps.Server;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Backends;
using ModelOps.Server.Backup;
using ModelOps.Server.Configuration;
using ModelOps.Server.Datasets;
using ModelOps.Server.Deployments;
using ModelOps.Server.Evaluations;
using ModelOps.Server.Files;
using ModelOps.Server.FineTuning;
using ModelOps.Server.Hosting;
using ModelOps.Server.Jobs;
using ModelOps.Server.Lifecycle;
using ModelOps.Server.Ollama;
using ModelOps.Server.OpenAI;
using ModelOps.Server.RateLimits;
using ModelOps.Server.Redis;
using ModelOps.Server.Security;
using ModelOps.Server.Studio;
using ModelOps.Server.Streaming;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Training;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;
using ModelOps.Studio;

var environment = Environment.GetEnvironmentVariables();
var faults = new List<string>();
var arguments = ServerArguments.Parse(args, environment, faults);
var bound = ServerConfig.Load(arguments, environment);
if (faults.Count > 0) return await RefuseAsync(faults);
switch (arguments.Task)
{
    case ServerTask.ShowConfig:
        await Console.Out.WriteLineAsync(ConfigDocuments.Effective(bound));
        return 0;
    case ServerTask.ConfigSchema:
        await Console.Out.WriteLineAsync(ConfigDocuments.Schema());
        return 0;
    case ServerTask.ConfigTable:
        await Console.Out.WriteLineAsync(ConfigDocuments.Table());
        return 0;
    default:
        return bound.Errors.Count > 0 ? await RefuseAsync(bound.Errors) : await ServeAsync(bound, arguments.Home);
}

static async Task<int> RefuseAsync(IReadOnlyList<string> faults)
{
    await Console.Error.WriteLineAsync("modelops: the configuration is not valid:");
    foreach (var fault in faults) await Console.Error.WriteLineAsync($"  - {fault}");
    return 2;
}

static async Task<int> ServeAsync(Bound<ServerConfig> bound, string folder)
{
    var config = bound.Value;
    try
    {
        using var home = ServerHome.Open(folder);
        Listener.ThrowIfTaken(config.Listen);
        var file = home.Database;
        var prepared = Task.Run(() => MetadataServices.PrepareAsync(config.Database, file)); // beside the certificates and the database's opening
        var faults = new List<string>();
        using var certificates = ServerCertificates.Load(
            home.Certificates, IPAddress.Parse(config.Listen.Address), config.Tls, TimeProvider.System, faults);
        if (certificates is null) return await RefuseAsync(faults);
        int? restartOn;
        do
        {
            await using var app = await BuildAsync(bound with { Value = config }, home, certificates);
            await prepared;
            MapRoutes(app, config);
            restartOn = await RunAsync(app, home);
            config = config with { Listen = config.Listen with { Port = restartOn ?? config.Listen.Port } };
        }
        while (restartOn is not null);
        return 0;
    }
    catch (ServerStartException e)
    {
        await Console.Error.WriteLineAsync($"modelops: {e.Message}");
        return e.ExitCode;
    }
}

static async Task<WebApplication> BuildAsync(Bound<ServerConfig> bound, ServerHome home, ServerCertificates certificates)
{
    var config = bound.Value;
    var opening = Task.Run(() => MetadataServices.OpenAsync(config.Database, home)); // beside what does not need it: a tenth of the start
    var builder = WebApplication.CreateSlimBuilder();
    builder.AddTelemetry(config.Telemetry);
    builder.WebHost.UseKestrelHttpsConfiguration();
    builder.WebHost.ConfigureKestrel(kestrel => Listener.Configure(kestrel, config, certificates));
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(3));

    var database = await opening;
    var services = builder.Services;
    services.AddSingleton(home);
    services.AddSingleton(config).AddSingleton(bound);
    services.AddSingleton(certificates);
    services.AddHostedService<CertificateRenewal>();
    services.AddSingleton<ReadinessChecks>();
    services.AddSingleton(TimeProvider.System);
    services.AddObjectStores(config.Objects, home);
    services.AddMetadata(database, home);
    services.AddSingleton(SigningKey.LoadOrCreate(home.Keys));
    services.AddSingleton(TrustedKeys.Load(home.Keys));
    services.AddSingleton<BlobStore>();
    services.AddSingleton<ArtifactRegistry>();
    services.AddSingleton<ArtifactRefusals>();
    services.AddSingleton<ArtifactRevocations>();
    services.AddSingleton<ArtifactExports>();
    services.AddSingleton<ArtifactImports>();
    services.AddSingleton(provider => ActivatorUtilities.CreateInstance<SigningKeys>(provider, home.Keys));
    services.AddLifecycle(config.Lifecycle);
    services.AddSingleton<DatasetCatalog>();
    services.AddSingleton(config.Queries).AddSingleton<DatasetQueries>().AddSingleton<DatasetPreviews>();
    services.AddWorkflows(config.Workflows); // before what uses it: it stops last
    services.AddWorkers(config.Workers);
    services.AddJobs(config);
    services.AddSingleton<InferenceMetrics>().AddSingleton<ModelRouter>();
    services.AddSingleton(config.Inference).AddSingleton(config.Deployments).AddSingleton<DeployableArtifacts>().AddSingleton<WorkerMetrics>();
    services.AddSingleton<DeploymentManager>().AddHostedService(provider => provider.GetRequiredService<DeploymentManager>());
    services.AddSingleton(config.Files).AddSingleton<FileStore>();
    services.AddFineTuning(config.FineTuning);
    services.AddBackends();
    services.AddGrpc(grpc => grpc.IgnoreUnknownServices = true); // what is not there is 404, as elsewhere
    if (config.Redis.Connection is not null) services.AddSingleton(_ => new RedisConnection(config.Redis)); // by a factory: the container disposes it
    services.AddSecurity(home, config.SignIn);
    services.AddRateLimits(config.RateLimits, config.Redis);
    services.AddApiDescription();
    if (config.Studio.Enabled) builder.AddStudio(home);
    services.Configure<RouteHandlerOptions>(handlers => handlers.ThrowOnBadRequest = true);
    services.ConfigureHttpJsonOptions(json =>
    {
        json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        json.SerializerOptions.TypeInfoResolverChain.Insert(0, WireJson.Default);
    });

    return builder.Build();
}

// A request's whole way stands here: its id → headers → problems → an end at the server's → who is it → how often → what may they →
// endpoint, and what it changed is audited.
static void MapRoutes(WebApplication app, ServerConfig config)
{
    if (config.Studio.Enabled) app.UseStudioAddresses();
    app.UseRequestIds();
    app.UseSecurityHeaders(config.Tls);
    app.UseProblems();
    app.UseGracefulStop();
    app.UseAuthentication();
    app.UsePrincipalInLogs();
    app.UseRateLimits();
    app.UseAuthorization();
    app.UseAuditTrail();
    app.UseWebSockets();

    app.MapGet("/healthz", () => Results.Text("ok"))
        .WithTags("health").WithName("getHealth").WithSummary("Says that the process lives.").Produces<string>(contentType: "text/plain");
    app.MapGet("/readyz", ReadinessChecks.AnswerAsync)
        .WithTags("health").WithName("getReadiness").WithSummary("Names what is not ready.")
        .Produces<Readiness>().Produces<Readiness>(StatusCodes.Status503ServiceUnavailable);
    app.MapMetrics(config.Telemetry);
    app.MapApiDescription();
    app.MapPublicKeys();
    var api = app.MapGroup("/api/v1");
    api.MapSecurity();
    api.MapArtifacts();
    api.MapBackup();
    api.MapPackages();
    api.MapSigningKeys();
    api.MapBlobs();
    api.MapDatasets();
    api.MapDeployments();
    api.MapJobs();
    api.MapLifecycle();
    api.MapTraining();
    api.MapEvaluations();
    api.MapWorkers();
    api.MapBackends();
    api.MapConfig();
    api.MapStream();
    app.MapOpenAI();
    app.MapOllama();
    app.MapGrpcService<InferenceService>();
    WorkflowGateway.Map(app);
    if (config.Studio.Enabled) app.MapStudio();
}

// Returns the port for the host that takes this one's place; null to end.
static async Task<int?> RunAsync(WebApplication app, ServerHome home)
{
    try
    {
        await app.StartAsync();
    }
    catch (IOException e)
    {
        throw new ServerStartException($"cannot listen: {e.Message}; choose another port with --port", e);
    }
    catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
    {
        return null; // told to stop before it was ready
    }
    var endpoints = Task.Run(() => app.Services.GetRequiredService<EndpointDataSource>().Endpoints); // else the first request builds them
    var bound = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    var address = Listener.LocalAddress(bound);
    await LocalCredentials.WriteAsync(
        home, address, app.Services.GetRequiredService<Users>(), app.Services.GetRequiredService<ApiKeys>(),
        app.Services.GetRequiredService<Passwords>(), CancellationToken.None);
    await endpoints;
    Listener.WarnWhenOpen(app.Services.GetRequiredService<ServerConfig>().Listen, app.Logger);
    StartLog.Ready(app.Logger, address, home.Root);
    await app.WaitForShutdownAsync();
    await app.FlushTelemetryAsync();
    return app.Services.GetRequiredService<ServerRestart>().Requested ? new Uri(address).Port : null;
}

internal static partial class StartLog
{
    [LoggerMessage(1, LogLevel.Information, "modelops: ready on {Address}, home {Home}")]
    public static partial void Ready(ILogger logger, string address, string home);
}
