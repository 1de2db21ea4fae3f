using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Registry;
using ModelOps.Server;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Configuration;
using ModelOps.Server.Datasets;
using ModelOps.Server.Deployments;
using ModelOps.Server.Hosting;
using ModelOps.Server.Jobs;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Security;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Training;
using ModelOps.Server.Workers;
using ModelOps.Storage;

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
        return bound.Errors.Count > 0 ? await RefuseAsync(bound.Errors) : await ServeAsync(bound.Value, arguments.Home);
}

static async Task<int> RefuseAsync(IReadOnlyList<string> faults)
{
    await Console.Error.WriteLineAsync("modelops: the configuration is not valid:");
    foreach (var fault in faults) await Console.Error.WriteLineAsync($"  - {fault}");
    return 2;
}

static async Task<int> ServeAsync(ServerConfig config, string folder)
{
    try
    {
        using var home = ServerHome.Open(folder);
        var faults = new List<string>();
        using var certificates = ServerCertificates.Load(
            home.Certificates, IPAddress.Parse(config.Listen.Address), config.Tls, TimeProvider.System, faults);
        if (certificates is null) return await RefuseAsync(faults);
        await using var app = await BuildAsync(config, home, certificates);
        MapRoutes(app, config);
        await RunAsync(app, home);
        return 0;
    }
    catch (ServerStartException e)
    {
        await Console.Error.WriteLineAsync($"modelops: {e.Message}");
        return 1;
    }
}

static async Task<WebApplication> BuildAsync(ServerConfig config, ServerHome home, ServerCertificates certificates)
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.AddTelemetry(config.Telemetry);
    builder.WebHost.UseKestrelHttpsConfiguration();
    builder.WebHost.ConfigureKestrel(kestrel => Listener.Configure(kestrel, config, certificates));
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(3));

    var objects = new FileObjectStore(home.Objects);
    var services = builder.Services;
    services.AddSingleton(home);
    services.AddSingleton(config);
    services.AddSingleton(certificates);
    services.AddHostedService<CertificateRenewal>();
    services.AddSingleton<ReadinessChecks>();
    services.AddSingleton(TimeProvider.System);
    services.AddSingleton<IObjectStore>(objects);
    services.AddSingleton(MetadataDatabase.Options(home.Database));
    services.AddDbContextFactory<MetadataContext>();
    services.AddSingleton(SigningKey.LoadOrCreate(home.Keys));
    services.AddSingleton(TrustedKeys.Load(home.Keys));
    services.AddSingleton<BlobStore>();
    services.AddSingleton<ApiKeys>();
    services.AddSingleton<ArtifactRegistry>();
    services.AddSingleton<DatasetCatalog>();
    services.AddSingleton<JobStore>();
    services.AddSingleton<WorkerSupervisor>();
    services.AddSingleton<RegistryActivities>();
    services.AddSingleton(provider => provider.GetRequiredService<RegistryActivities>().AddTo(new ControlActivities()));
    services.AddSingleton<ActivityInvokerFactory>();
    services.AddSingleton<IEnumerable<JobKind>>(JobKinds.All);
    services.AddSingleton<ModelRouter>();
    services.AddSingleton<JobQueue>().AddHostedService(provider => provider.GetRequiredService<JobQueue>());
    services.AddSingleton<DeploymentManager>().AddHostedService(provider => provider.GetRequiredService<DeploymentManager>());
    // Not AddAuthentication: it brings data protection, whose keys would be written outside the home folder and never used.
    services.AddAuthenticationCore(authentication => authentication.DefaultScheme = ApiKeyAuthentication.SchemeName);
    services.AddWebEncoders();
    new AuthenticationBuilder(services)
        .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.SchemeName, configureOptions: null);
    services.AddAuthorization();
    services.AddApiDescription();
    services.Configure<RouteHandlerOptions>(handlers => handlers.ThrowOnBadRequest = true);
    services.ConfigureHttpJsonOptions(json =>
    {
        json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        json.SerializerOptions.TypeInfoResolverChain.Insert(0, WireJson.Default);
    });

    await MetadataDatabase.MigrateAsync(home.Database);
    return builder.Build();
}

// A request's whole way stands here: its id → headers → problems → an end at the server's → who is it → what may they → endpoint.
static void MapRoutes(WebApplication app, ServerConfig config)
{
    app.UseRequestIds();
    app.UseSecurityHeaders(config.Tls);
    app.UseProblems();
    app.UseGracefulStop();
    app.UseAuthentication();
    app.UsePrincipalInLogs();
    app.UseAuthorization();

    app.MapGet("/healthz", () => Results.Text("ok"))
        .WithTags("health").WithName("getHealth").WithSummary("Says that the process lives.").Produces<string>(contentType: "text/plain");
    app.MapGet("/readyz", ReadinessChecks.AnswerAsync)
        .WithTags("health").WithName("getReadiness").WithSummary("Names what is not ready.")
        .Produces<Readiness>().Produces<Readiness>(StatusCodes.Status503ServiceUnavailable);
    app.MapMetrics(config.Telemetry);
    app.MapApiDescription();
    var api = app.MapGroup("/api/v1").RequireAuthorization();
    api.MapArtifacts();
    api.MapBlobs();
    api.MapDatasets();
    api.MapDeployments();
    api.MapJobs();
    api.MapTraining();
    app.MapOpenAI();
}

static async Task RunAsync(WebApplication app, ServerHome home)
{
    try
    {
        await app.StartAsync();
    }
    catch (IOException e)
    {
        throw new ServerStartException($"cannot listen: {e.Message}; choose another port with --port", e);
    }
    var bound = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    var address = Listener.LocalAddress(bound);
    await LocalCredentials.WriteAsync(home, address, app.Services.GetRequiredService<ApiKeys>(), CancellationToken.None);
    Listener.WarnWhenOpen(app.Services.GetRequiredService<ServerConfig>().Listen, app.Logger);
    StartLog.Ready(app.Logger, address, home.Root);
    await app.WaitForShutdownAsync();
    await app.FlushTelemetryAsync();
}

internal static partial class StartLog
{
    [LoggerMessage(1, LogLevel.Information, "modelops: ready on {Address}, home {Home}")]
    public static partial void Ready(ILogger logger, string address, string home);
}
