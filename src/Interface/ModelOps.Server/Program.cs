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
using ModelOps.Server.Datasets;
using ModelOps.Server.Deployments;
using ModelOps.Server.Hosting;
using ModelOps.Server.Jobs;
using ModelOps.Server.Lifecycle;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Security;
using ModelOps.Server.Training;
using ModelOps.Server.Workers;
using ModelOps.Storage;

try
{
    var options = ServerOptions.Parse(args);
    using var home = ServerHome.Open(options.Home);
    await using var app = await BuildAsync(options, home);
    MapRoutes(app);
    await RunAsync(app, home);
    return 0;
}
catch (ServerStartException e)
{
    await Console.Error.WriteLineAsync($"modelops: {e.Message}");
    return 1;
}

static async Task<WebApplication> BuildAsync(ServerOptions options, ServerHome home)
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.ClearProviders().AddSimpleConsole(console =>
    {
        console.SingleLine = true;
        console.UseUtcTimestamp = true;
        console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
    });
    builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    builder.Logging
        .AddFilter("Microsoft", LogLevel.Warning)
        .AddFilter("Microsoft.AspNetCore.Diagnostics.ExceptionHandlerMiddleware", LogLevel.None); // Problems logs what is unexpected
    builder.WebHost.UseKestrelHttpsConfiguration();
    builder.WebHost.ConfigureKestrel(kestrel =>
    {
        var certificate = LocalCertificates.Ensure(home.Certificates, TimeProvider.System);
        kestrel.AddServerHeader = false;
        kestrel.Listen(IPAddress.Loopback, options.Port, listen => listen.UseHttps(certificate));
    });
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(4));

    var objects = new FileObjectStore(home.Objects);
    var services = builder.Services;
    services.AddSingleton(options);
    services.AddSingleton(TimeProvider.System);
    services.AddSingleton<IObjectStore>(objects);
    services.AddSingleton(MetadataDatabase.Options(home.Database));
    services.AddDbContextFactory<MetadataContext>();
    services.AddSingleton(SigningKey.LoadOrCreate(home.Keys));
    services.AddSingleton(TrustedKeys.Load(home.Keys));
    services.AddSingleton<BlobStore>();
    services.AddSingleton<ApiKeys>();
    services.AddSingleton<ArtifactRegistry>();
    services.AddLifecycle(builder.Configuration);
    services.AddSingleton<DatasetCatalog>();
    services.AddSingleton<JobStore>();
    services.AddSingleton<JobReferences>();
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
    services.AddOpenApi();
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

// A request's whole way stands here: problems → who is it → what may they → endpoint.
static void MapRoutes(WebApplication app)
{
    app.UseProblems();
    app.UseAuthentication();
    app.UseAuthorization();

    app.MapGet("/healthz", () => Results.Text("ok"));
    app.MapGet("/readyz", DeploymentEndpoints.Readiness);
    app.MapOpenApi("/openapi/{documentName}.json");
    var api = app.MapGroup("/api/v1").RequireAuthorization();
    api.MapArtifacts();
    api.MapBlobs();
    api.MapDatasets();
    api.MapDeployments();
    api.MapJobs();
    api.MapLifecycle();
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
    var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    await LocalCredentials.WriteAsync(home, address, app.Services.GetRequiredService<ApiKeys>(), CancellationToken.None);
    await Console.Error.WriteLineAsync($"modelops: ready on {address}, home {home.Root}");
    await app.WaitForShutdownAsync();
}
