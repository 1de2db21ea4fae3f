using Microsoft.Extensions.Logging.Console;
using ModelOps.Inference;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ModelOps.Server.Telemetry;

/// <summary>Logs on standard error, metrics for Prometheus, and all three signals to a collector where one is configured.</summary>
public static class TelemetrySetup
{
    private const string ServiceName = "modelops-server";
    private const string TracesPath = "v1/traces";
    private static readonly PathString[] untraced = ["/healthz", "/readyz", "/metrics", "/api/v1/workers/spans", "/api/v1/workers/settings"];
    private const int FlushMilliseconds = 2000; // a collector that hangs must not hold up the server's end

    public static void AddTelemetry(this WebApplicationBuilder builder, TelemetryOptions options)
    {
        AddLogs(builder.Logging, options);
        builder.Services.AddSingleton(options).AddSingleton<ServerMetrics>();
        builder.Services.AddSingleton<SpanStore>().AddHostedService(provider => provider.GetRequiredService<SpanStore>()); // first, so it stops last
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(ServiceName, serviceVersion: typeof(TelemetrySetup).Assembly.GetName().Version?.ToString(3)))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(
                    "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime", "ModelOps.*");
                metrics.AddPrometheusExporter();
                if (options.OtlpEndpoint is not null) metrics.AddOtlpExporter(exporter => Configure(exporter, options, "v1/metrics"));
            })
            .WithTracing(tracing =>
            {
                tracing.SetSampler(new ParentBasedSampler(new RootSampler(options.TraceRatio)))
                    .AddAspNetCoreInstrumentation(requests => requests.Filter = context => IsTraced(context.Request.Path))
                    .AddSource("System.Net.Http", CallNames.SourceName, ServerSpans.SourceName, InferenceSpans.SourceName)
                    .AddProcessor(new CallNames())
                    .AddProcessor(provider => new StoredSpans(provider.GetRequiredService<SpanStore>()));
                if (options.OtlpEndpoint is not null) tracing.AddOtlpExporter(exporter => Configure(exporter, options, TracesPath));
            });
        if (options.OtlpEndpoint is null) return;
        builder.Logging.AddOpenTelemetry(logs =>
        {
            logs.IncludeScopes = true;
            logs.IncludeFormattedMessage = true;
            logs.AddOtlpExporter(exporter => Configure(exporter, options, "v1/logs"));
        });
    }

    /// <summary>For viewers, administrators and services, or for everybody where it is configured so.</summary>
    public static void MapMetrics(this WebApplication app, TelemetryOptions options)
    {
        _ = app.Services.GetRequiredService<ServerMetrics>(); // measures from the start, not from the first problem
        _ = app.Services.GetRequiredService<WorkerMeters>();
        var metrics = app.MapPrometheusScrapingEndpoint("/metrics");
        if (options.AnonymousMetrics) metrics.AllowAnonymous();
    }

    /// <summary>
    /// What is not yet sent goes to the collector now, all signals at once: the container would send one after the other, and disposes the meters
    /// before their exporter.
    /// </summary>
    public static Task FlushTelemetryAsync(this WebApplication app)
    {
        var (metrics, traces, logs) = (app.Services.GetService<MeterProvider>(), app.Services.GetService<TracerProvider>(), app.Services.GetService<LoggerProvider>());
        return Task.WhenAll(
            Task.Run(() => metrics?.ForceFlush(FlushMilliseconds)),
            Task.Run(() => traces?.ForceFlush(FlushMilliseconds)),
            Task.Run(() => logs?.ForceFlush(FlushMilliseconds)));
    }

    /// <summary>What a worker needs to know to send its spans to the collector as well; empty without one.</summary>
    public static IReadOnlyDictionary<string, string> WorkerEnvironment(this TelemetryOptions options) => options.OtlpEndpoint is null
        ? new Dictionary<string, string>(StringComparer.Ordinal)
        : new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS_OTLP_ENDPOINT"] = AddressOf(options, TracesPath).AbsoluteUri,
            ["MODELOPS_OTLP_HEADERS"] = HeadersOf(options),
        };

    /// <summary>What comes by itself every second or so would bury what people and programs ask for.</summary>
    private static bool IsTraced(PathString path) =>
        !Array.Exists(untraced, other => path == other) && !path.StartsWithSegments(WorkflowGateway.Service, StringComparison.Ordinal)
            && !(path.StartsWithSegments("/api/v1/jobs", StringComparison.Ordinal) && path.Value!.EndsWith("/reports", StringComparison.Ordinal));

    private static void AddLogs(ILoggingBuilder logging, TelemetryOptions options)
    {
        var json = options.Logs == LogFormat.Json || (options.Logs == LogFormat.Auto && Console.IsErrorRedirected);
        logging.ClearProviders().AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        if (json)
        {
            logging.AddConsoleFormatter<JsonLogFormatter, ConsoleFormatterOptions>();
            logging.Services.Configure<ConsoleLoggerOptions>(console => console.FormatterName = JsonLogFormatter.FormatterName);
        }
        else
        {
            logging.AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            });
        }
        logging
            .AddFilter("Microsoft", LogLevel.Warning)
            .AddFilter("Yarp", LogLevel.Warning) // two lines for every heartbeat and poll of a worker
            .AddFilter("Microsoft.AspNetCore.Diagnostics.ExceptionHandlerMiddleware", LogLevel.None); // Problems logs what is unexpected
    }

    private static void Configure(OtlpExporterOptions exporter, TelemetryOptions options, string path)
    {
        exporter.TimeoutMilliseconds = FlushMilliseconds;
        exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
        exporter.Endpoint = AddressOf(options, path);
        exporter.Headers = HeadersOf(options);
    }

    private static Uri AddressOf(TelemetryOptions options, string path) => new(options.OtlpEndpoint!.AbsoluteUri.TrimEnd('/') + '/' + path);

    private static string HeadersOf(TelemetryOptions options) =>
        string.Join(',', options.OtlpHeaders.Select(header => $"{header.Key}={Uri.EscapeDataString(header.Value)}"));
}
