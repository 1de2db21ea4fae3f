using System.Globalization;
using System.Security.Cryptography;
using ModelOps.Registry;
using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;
using ModelOps.Temporal;
using ModelOps.Workflows;
using Temporalio.Client;
using Temporalio.Worker;

namespace ModelOps.Server.Workflows;

/// <summary>
/// The workflows' service, the client to it, and the worker of this process, which runs workflow code and what writes metadata. It starts when it
/// is first needed, by a job or by a worker: a server without either does not pay for it.
/// </summary>
public sealed partial class WorkflowEngine(
    ServerConfig config, ServerHome home, IEnumerable<IControlActivities> activities, TimeProvider time, ILoggerFactory loggers)
    : IHostedService, IDisposable
{
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(2);
    private readonly WorkflowsOptions options = config.Workflows;
    private readonly ILogger logger = loggers.CreateLogger<WorkflowEngine>();
    private readonly CancellationTokenSource stopping = new();
    private readonly SemaphoreSlim gate = new(1);
    private Running? running;

    /// <summary>Which engine a job belongs to. Servers that share a database but have each its own service run each its own jobs.</summary>
    public string Name { get; } = config.Workflows.Address is { } address ? $"{config.Workflows.Namespace} at {address}"
        : config.Database.Provider == MetadataOptions.PostgreSql ? $"embedded {IdOf(home)}"
        : "embedded";

    public string Namespace => options.Namespace;

    /// <summary>Whether it has been needed yet.</summary>
    public bool IsRunning => running is not null;

    /// <summary>Why no job can go on until the server is started again; null: they can.</summary>
    public string? Fault => running?.Server?.Failure?.Message;

    public async Task<ITemporalClient> ClientAsync(CancellationToken cancellationToken) => (await RunningAsync(cancellationToken)).Client;

    /// <summary>Where the service listens, and what a call to it must carry as its bearer token.</summary>
    public async Task<(Uri Address, string? Token)> TargetAsync(CancellationToken cancellationToken)
    {
        var started = await RunningAsync(cancellationToken);
        return (started.Address, started.Token);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <param name="cancellationToken">Is not waited for: of a busy server the time to stop may be over before it is the workflows' turn, which stop last.</param>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.CancelAsync();
        await gate.WaitAsync(CancellationToken.None); // a start under way is short
        if (running is null) return;
        if (Fault is null) await running.Polling; // otherwise it waits for answers that no one gives any more
        if (running.Server is not null) await running.Server.DisposeAsync();
    }

    public void Dispose()
    {
        gate.Dispose();
        stopping.Dispose();
    }

    private async Task<Running> RunningAsync(CancellationToken cancellationToken)
    {
        if (running is { } started) return started;
        await gate.WaitAsync(cancellationToken);
        try
        {
            stopping.Token.ThrowIfCancellationRequested();
            return running ??= await RunAsync(cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task<Running> RunAsync(CancellationToken cancellationToken)
    {
        var token = options.ApiKey;
        TemporalServer? server = null;
        if (options.Address is null)
        {
            token = RandomNumberGenerator.GetHexString(64, lowercase: true);
            server = await TemporalServer.StartAsync(
                new TemporalServerOptions
                {
                    DatabasePath = home.Workflows,
                    Namespace = options.Namespace,
                    Retention = options.Retention,
                    Token = token,
                    TimeProvider = new SteadyTime(time),
                },
                loggers,
                cancellationToken);
        }
        try
        {
            var host = server?.Address ?? options.Address!;
            var client = await TemporalClient.ConnectAsync(new(host)
            {
                Namespace = options.Namespace,
                ApiKey = token,
                Tls = await TlsAsync(cancellationToken),
                Identity = string.Create(CultureInfo.InvariantCulture, $"control {Environment.ProcessId}@{Environment.MachineName}"),
                DataConverter = HistoryData.Converter,
                LoggerFactory = loggers,
            });
            Log.Started(logger, host, options.Namespace);
            return new(server, client, new Uri($"{(options.Tls ? "https" : "http")}://{host}"), token, PollAsync(client));
        }
        catch
        {
            if (server is not null) await server.DisposeAsync();
            throw;
        }
    }

    private async Task<Temporalio.Client.TlsOptions> TlsAsync(CancellationToken cancellationToken) => !options.Tls ? new() { Disabled = true } : new()
    {
        ServerRootCACert = options.Ca is { } file ? await File.ReadAllBytesAsync(file, cancellationToken) : null,
    };

    /// <summary>Runs workflows and control activities until the server stops; begins again should the worker give up.</summary>
    private async Task PollAsync(TemporalClient client)
    {
        var polling = new TemporalWorkerOptions(WorkerRole.Control.TaskQueue())
        {
            LoggerFactory = loggers,
            MaxConcurrentActivities = 16,
            MaxConcurrentWorkflowTasks = 16,
        };
        polling.AddWorkflow<DatasetIngestionWorkflow>().AddWorkflow<SftTrainingWorkflow>().AddWorkflow<TrainingPlanWorkflow>().AddWorkflow<QuantizationWorkflow>().AddWorkflow<EvaluationWorkflow>()
            .AddWorkflow<FineTuningWorkflow>();
        foreach (var activity in activities.SelectMany(group => group.Definitions)) polling.AddActivity(activity);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                using var worker = new TemporalWorker(client, polling);
                await worker.ExecuteAsync(stopping.Token);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                // The server stops.
            }
            catch (Exception e)
            {
                Log.GaveUp(logger, e);
                await Task.Delay(pause, time, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static string IdOf(ServerHome home)
    {
        if (!File.Exists(home.WorkflowsId))
        {
            var made = $"{home.WorkflowsId}.new"; // a server that dies meanwhile must not leave half a name, or none
            File.WriteAllText(made, $"{Guid.NewGuid():N}");
            File.Move(made, home.WorkflowsId, overwrite: true);
        }
        return File.ReadAllText(home.WorkflowsId).Trim();
    }

    private sealed record Running(TemporalServer? Server, ITemporalClient Client, Uri Address, string? Token, Task Polling);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "workflows run on {Address}, namespace {Namespace}")]
        public static partial void Started(ILogger logger, string address, string @namespace);

        [LoggerMessage(2, LogLevel.Error, "the worker for workflows gave up; it begins again")]
        public static partial void GaveUp(ILogger logger, Exception exception);
    }
}
