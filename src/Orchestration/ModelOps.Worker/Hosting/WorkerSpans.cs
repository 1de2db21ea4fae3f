using System.Diagnostics;
using System.Threading.Channels;
using ModelOps.Inference;
using ModelOps.Workflows;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ModelOps.Worker.Hosting;

/// <summary>
/// The spans of this process: handed to the server in batches, and to the collector that it names. Only what belongs to a recorded trace is recorded.
/// None is waited for: what the server does not take within its time is gone, and so is what comes while too many wait.
/// </summary>
internal sealed partial class WorkerSpans(ServerConnection server, TimeProvider time, ILogger<WorkerSpans> logger) : BackgroundService
{
    public const string SourceName = "ModelOps.Worker";
    private const string EndpointVariable = "MODELOPS_OTLP_ENDPOINT";
    private const string HeadersVariable = "MODELOPS_OTLP_HEADERS";
    private const int MostWaiting = 10_000;
    private const int MostInBatch = 500;
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan lastTry = TimeSpan.FromSeconds(1);
    private readonly Channel<SpanRecord> waiting = Channel.CreateBounded<SpanRecord>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly SemaphoreSlim turn = new(1);

    public static ActivitySource Source { get; } = new(SourceName);

    public static void AddTo(IServiceCollection services, WorkerOptions options)
    {
        services.AddSingleton<WorkerSpans>().AddHostedService(provider => provider.GetRequiredService<WorkerSpans>());
        services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService($"modelops-worker-{options.Role.Name()}", serviceInstanceId: options.Identity))
            .WithTracing(tracing =>
            {
                tracing.SetSampler(new ParentBasedSampler(new AlwaysOffSampler()))
                    .AddSource(SourceName, InferenceSpans.SourceName, "Microsoft.AspNetCore")
                    .AddProcessor(provider => new Processor(provider.GetRequiredService<WorkerSpans>(), options.Identity));
                if (Environment.GetEnvironmentVariable(EndpointVariable) is { Length: > 0 } endpoint)
                    tracing.AddOtlpExporter(exporter =>
                    {
                        exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
                        exporter.Endpoint = new Uri(endpoint);
                        exporter.Headers = Environment.GetEnvironmentVariable(HeadersVariable);
                        exporter.TimeoutMilliseconds = (int)lastTry.TotalMilliseconds;
                    });
            });
    }

    /// <summary>Hands over what there is, for two tries' time at most: behind this it is not lost with this process.</summary>
    public async Task FlushAsync()
    {
        using var limit = new CancellationTokenSource(lastTry, time);
        await SendAsync(limit.Token);
    }

    public override void Dispose()
    {
        turn.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken)) await SendAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            await FlushAsync();
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        try
        {
            await turn.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            return;
        }
        try
        {
            while (Take() is { Count: > 0 } batch) await server.TellSpansAsync(batch, cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            Log.Lost(logger, e.Message);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Of a span that began and ended meanwhile only its end.</summary>
    private List<SpanRecord> Take()
    {
        var batch = new Dictionary<string, SpanRecord>(StringComparer.Ordinal);
        while (batch.Count < MostInBatch && waiting.Reader.TryRead(out var span)) batch[span.SpanId] = span;
        return [.. batch.Values];
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "spans were not handed to the server: {Reason}")]
        public static partial void Lost(ILogger logger, string reason);
    }

    /// <summary>What lasts is told when it begins, too: whoever looks meanwhile sees it, and of a process that dies it stays.</summary>
    private sealed class Processor(WorkerSpans spans, string service) : BaseProcessor<Activity>
    {
        public override void OnStart(Activity data)
        {
            if (data.Source == Source) spans.waiting.Writer.TryWrite(SpanRecord.Of(data, service));
        }

        public override void OnEnd(Activity data) => spans.waiting.Writer.TryWrite(SpanRecord.Of(data, service));
    }
}
