using System.Collections;
using ModelOps.Registry;
using ModelOps.Server.Backends;
using ModelOps.Server.Datasets;
using ModelOps.Server.Deployments;
using ModelOps.Server.Files;
using ModelOps.Server.FineTuning;
using ModelOps.Server.Hosting;
using ModelOps.Server.Jobs;
using ModelOps.Server.RateLimits;
using ModelOps.Server.Redis;
using ModelOps.Server.Security;
using ModelOps.Server.Studio;
using ModelOps.Server.Telemetry;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;
using ModelOps.Storage;

namespace ModelOps.Server.Configuration;

/// <summary>
/// The whole configuration: a property per component. Defaults are overridden by <c>modelops.json</c> in the home folder, that by
/// <c>MODELOPS__SECTION__KEY</c> in the environment, that by <c>--set section:key=value</c>.
/// </summary>
public sealed record ServerConfig
{
    public const string FileName = "modelops.json";

    public ListenOptions Listen { get; init; } = new();

    public TlsOptions Tls { get; init; } = new();

    public MetadataOptions Database { get; init; } = new();

    public ObjectStoreOptions Objects { get; init; } = new();

    public SignInOptions SignIn { get; init; } = new();

    public WorkflowsOptions Workflows { get; init; } = new();

    public JobsOptions Jobs { get; init; } = new();

    public LifecycleOptions Lifecycle { get; init; } = new();

    public LimitOptions Limits { get; init; } = new();

    public QueryOptions Queries { get; init; } = new();

    public RateLimitOptions RateLimits { get; init; } = new();

    public RedisOptions Redis { get; init; } = new();

    public WorkersOptions Workers { get; init; } = new();

    public IReadOnlyDictionary<string, BackendOptions> Backends { get; init; } = new Dictionary<string, BackendOptions>();

    public InferenceOptions Inference { get; init; } = new();

    public DeploymentOptions Deployments { get; init; } = new();

    public FilesOptions Files { get; init; } = new();

    public FineTuningOptions FineTuning { get; init; } = new();

    public PluginsOptions Plugins { get; init; } = new();

    public StudioOptions Studio { get; init; } = new();

    public TelemetryOptions Telemetry { get; init; } = new();

    public static Bound<ServerConfig> Load(ServerArguments arguments, IDictionary environment)
    {
        var errors = new List<string>();
        var file = ConfigInput.OfFile(Path.Combine(arguments.Home, FileName), errors);
        var bound = ConfigBinder.Bind<ServerConfig>(ConfigInput.OfFlags(arguments.Settings), ConfigInput.OfEnvironment(environment), file);
        return bound with { Errors = [.. errors, .. bound.Errors] };
    }
}
