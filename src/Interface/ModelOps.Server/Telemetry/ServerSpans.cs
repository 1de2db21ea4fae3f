using System.Diagnostics;
using ModelOps.Workflows;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace ModelOps.Server.Telemetry;

/// <summary>The server's own spans, beside those of requests.</summary>
internal static class ServerSpans
{
    public const string SourceName = "ModelOps.Server";
    public const string Service = "server";

    public static ActivitySource Source { get; } = new(SourceName);
}

/// <summary>Hands spans to the store: each when it ends, and what lasts when it begins, too, so that whoever looks meanwhile sees it.</summary>
internal sealed class StoredSpans(SpanStore store) : BaseProcessor<Activity>
{
    public override void OnStart(Activity data)
    {
        if (data.Source == ServerSpans.Source) store.Add(SpanRecord.Of(data, ServerSpans.Service));
    }

    public override void OnEnd(Activity data) => store.Add(SpanRecord.Of(data, ServerSpans.Service));
}

/// <summary>Names the spans of gRPC's client by what is called, as the conventions want it: it names them all alike.</summary>
internal sealed class CallNames : BaseProcessor<Activity>
{
    public const string SourceName = "Grpc.Net.Client";

    public override void OnEnd(Activity data)
    {
        if (data.Source.Name == SourceName && data.GetTagItem("grpc.method") is string method) data.DisplayName = method.TrimStart('/');
    }
}

/// <summary>
/// Decides for traces that begin here: a share of them, and none that begins with a question to somebody else, as the watch over the inference worker
/// does each second.
/// </summary>
internal sealed class RootSampler(double ratio) : Sampler
{
    private readonly TraceIdRatioBasedSampler share = new(ratio);

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters) =>
        samplingParameters.Kind == ActivityKind.Client ? new(SamplingDecision.Drop) : share.ShouldSample(samplingParameters);
}
