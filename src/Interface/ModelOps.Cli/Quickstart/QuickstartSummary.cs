using ModelOps.Cli.Jobs;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;

namespace ModelOps.Cli.Quickstart;

/// <summary>The end of a quickstart for people: what was made, from what, how to call it, what next.</summary>
internal static class QuickstartSummary
{
    public static void Show(Invocation invocation, QuickstartReport report)
    {
        var output = invocation.Host.Out;
        var training = report.Training.Result;
        var quantization = report.Quantization.Result;
        output.WriteLine();
        output.WriteLine($"Done in {Human.Duration(TimeSpan.FromSeconds(report.Seconds))}. What was made:");
        output.WriteLine($"  {training.Artifact}: validation loss {training.LossBefore:0.000} -> {training.LossAfter:0.000} nats/token in {training.Steps} steps");
        var file = quantization.Artifacts[0];
        output.WriteLine($"  {file.Artifact}: {file.Type}, {Human.Bytes(file.Size)}, {file.BitsPerWeight:0.00} bits per weight");
        if (file.Quality is { } quality)
            output.WriteLine($"  perplexity {quality.Perplexity:0.000} (source {quality.SourcePerplexity:0.000}), same top token {quality.TopOneAgreement:P1}, KL {quality.KlDivergence:G2} nats/token");
        if (quantization.Parity is { } parity) output.WriteLine($"  {QuantizationView.ParityOf(parity)}");
        output.WriteLine();
        output.WriteLine("Where it comes from, signed and verified:");
        LineageView.Show(invocation.Screen, report.Lineage, upstream: true, downstream: false);
        output.WriteLine();
        foreach (var line in HowToCall(invocation, report))
        {
            output.WriteLine(line);
        }
    }

    private static IEnumerable<string> HowToCall(Invocation invocation, QuickstartReport report)
    {
        var home = invocation.Home;
        var name = report.Deployment.Result.Name;
        var server = report.ServerStopped ? $"https://127.0.0.1:{ServeCommand.DefaultPort}" : report.Server.TrimEnd('/');
        yield return "Call it:";
        if (report.ServerStopped)
        {
            yield return $"  modelops serve{HomeFlag(invocation)}    # this run's server stops with it; start it again first";
        }
        // Only a server of this home has its key and authority here.
        if (home.ReadCredentials() is { } credentials && (invocation.ServerOption is null || report.ServerStopped))
        {
            yield return $"  KEY=$(sed -n 's/.*\"api_key\": *\"\\([^\"]*\\)\".*/\\1/p' {home.CredentialsFile})";
            yield return $"  curl --cacert {home.CaPath(credentials)} -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\";
            yield return $"    {server}/v1/chat/completions -d '{{\"model\":\"{name}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'";
            yield return $"  any OpenAI SDK: base URL {server}/v1, api key $KEY, model {name}, and SSL_CERT_FILE (Node: NODE_EXTRA_CA_CERTS)={home.CaPath(credentials)}";
        }
        else
        {
            yield return $"  any OpenAI SDK: base URL {server}/v1, your api key, model {name}";
        }
        yield return "";
        yield return "Next:";
        yield return $"  modelops chat {name}{HomeFlag(invocation)}";
        yield return $"  modelops artifacts lineage {report.Quantization.Result.Artifacts[0].Artifact}{HomeFlag(invocation)}";
        yield return "  modelops quickstart --data ./your-rows.jsonl    # one JSON object per line: {\"messages\": [{\"role\": \"user\", …}, {\"role\": \"assistant\", …}]}";
    }

    private static string HomeFlag(Invocation invocation) =>
        invocation.Home == Home.Resolve(null, invocation.Host.Variable) ? "" : $" --home {invocation.Home.Folder}";
}
