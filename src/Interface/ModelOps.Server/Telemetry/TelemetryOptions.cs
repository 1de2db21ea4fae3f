using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Telemetry;

public enum LogFormat
{
    /// <summary>Text on a terminal, else JSON.</summary>
    Auto,
    Text,
    Json,
}

/// <summary>Logs, metrics and traces.</summary>
public sealed record TelemetryOptions
{
    private const long DefaultTraceSize = 256L << 20;

    /// <summary>Form of the log on standard error; auto is text on a terminal and JSON elsewhere.</summary>
    public LogFormat Logs { get; init; } = LogFormat.Auto;

    /// <summary>Whether /metrics answers without a key.</summary>
    public bool AnonymousMetrics { get; init; }

    /// <summary>OpenTelemetry collector that gets traces, metrics and logs by OTLP over HTTP/protobuf; /v1/traces and so on is appended.</summary>
    public Uri? OtlpEndpoint { get; init; }

    /// <summary>Headers of the requests to the collector, such as an authorization.</summary>
    [DataType(DataType.Password)]
    public IReadOnlyDictionary<string, string> OtlpHeaders { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Share of traces that are recorded, of those that no caller has decided for.</summary>
    [Range(0.0, 1.0)]
    public double TraceRatio { get; init; } = 1;

    /// <summary>How long the server keeps the spans of a trace, in <c>traces.db</c>.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "3650.00:00:00")]
    public TimeSpan TraceAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>Bytes of spans that the server keeps; the oldest go first.</summary>
    [Range(1L << 20, 1L << 40)]
    public long TraceSize { get; init; } = DefaultTraceSize;
}
