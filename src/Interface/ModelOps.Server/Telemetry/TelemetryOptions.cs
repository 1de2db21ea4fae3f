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
}
