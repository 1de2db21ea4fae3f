using ModelOps.Cli.Jobs;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;

namespace ModelOps.Cli.Quickstart;

/// <summary>The end of a quickstart for people: what was made, how good it is, from what, how to call it, what next.</summary>
internal static class QuickstartSummary
{
    private const string LargerBase = "hf:HuggingFaceTB/SmolLM2-135M-Instruct";

    public static void Show(Invocation invocation, QuickstartRequest request, QuickstartReport report)
    {
        var output = invocation.Host.Out;
        output.WriteLine();
        output.WriteLine($"Done in {Human.Duration(TimeSpan.FromSeconds(report.Seconds))}. What was made:");
        foreach (var line in Made(report).SelectMany(line => TextWrap.Lines(line, invocation.Screen.Profile.Width - 2)))
        {
            output.WriteLine($"  {line}");
        }
        output.WriteLine();
        foreach (var line in Measured(report))
        {
            output.WriteLine(line);
        }
        output.WriteLine();
        output.WriteLine("Where it comes from, signed and verified:");
        LineageView.Show(invocation.Screen, report.Lineage, upstream: true, downstream: false);
        output.WriteLine();
        foreach (var line in HowToCall(invocation, request, report).Concat(Next(request, report)))
        {
            output.WriteLine(line);
        }
    }

    private static IEnumerable<string> Made(QuickstartReport report)
    {
        var training = report.Training.Result;
        var quantization = report.Quantization.Result;
        yield return $"{training.Artifact}: validation loss {training.LossBefore:0.000} -> {training.LossAfter:0.000} nats/token in {training.Steps} steps";
        var file = quantization.Artifacts[0];
        yield return $"{file.Artifact}: {file.Type}, {Human.Bytes(file.Size)}, {file.BitsPerWeight:0.00} bits per weight";
        if (file.Quality is { } quality)
        {
            yield return $"perplexity {quality.Perplexity:0.000} (source {quality.SourcePerplexity:0.000}), same top token {quality.TopOneAgreement:P1}, KL {quality.KlDivergence:G2} nats/token";
        }
        if (quantization.Parity is { } parity)
        {
            yield return QuantizationView.ParityOf(parity);
        }
    }

    private static IEnumerable<string> Measured(QuickstartReport report)
    {
        var evaluation = report.Evaluation.Result;
        yield return $"Base -> fine-tuned on {evaluation.Rows} rows of {evaluation.Split} [difference, 95 % interval]:";
        foreach (var metric in evaluation.Metrics)
        {
            var interval = metric.Difference is { } difference ? $"  [{difference.Low:+0.000;-0.000;0.000}, {difference.High:+0.000;-0.000;0.000}]" : "";
            yield return $"  {metric.Name,-12} {metric.Base?.Value,7:0.000} -> {metric.Candidate.Value,7:0.000}{interval}";
        }
    }

    private static IEnumerable<string> HowToCall(Invocation invocation, QuickstartRequest request, QuickstartReport report)
    {
        var home = invocation.Home;
        var name = report.Deployment.Result.Name;
        var server = report.ServerStopped ? $"https://127.0.0.1:{ServeCommand.DefaultPort}" : report.Server.TrimEnd('/');
        if (report.ServerStopped)
        {
            yield return "This run's server stops with it. Start it in another terminal:";
            yield return $"  modelops serve{request.Home}";
        }
        yield return "Call it, in a shell:";
        // Only a server of this home has its key and authority here.
        var credentials = invocation.ServerOption is null || report.ServerStopped ? home.ReadCredentials() : null;
        yield return credentials is null
            ? "  KEY=YOUR-API-KEY"
            : $"  KEY=$(sed -n 's/.*\"api_key\": *\"\\([^\"]*\\)\".*/\\1/p' {Shell.Quoted(home.CredentialsFile)})";
        yield return $"  URL={Shell.Quoted($"{server}/v1")}";
        if (credentials is not null)
        {
            yield return $"  CA={Shell.Quoted(home.CaPath(credentials))}";
        }
        yield return $"  curl {(credentials is null ? "" : "--cacert \"$CA\" ")}-H \"Authorization: Bearer $KEY\" \\";
        yield return "    -H 'Content-Type: application/json' \"$URL/chat/completions\" \\";
        yield return $"    -d '{{\"model\":\"{name}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'";
        yield return "With OpenAI's SDKs, after npm install openai or pip install openai:";
        yield return $"  OPENAI_API_KEY=$KEY OPENAI_BASE_URL=$URL {(credentials is null ? "" : "NODE_EXTRA_CA_CERTS=$CA ")}\\";
        yield return "    node --input-type=module -e 'import OpenAI from \"openai\";";
        yield return "    const chat = await new OpenAI().chat.completions.create({";
        yield return $"      model: \"{name}\", messages: [{{ role: \"user\", content: \"Hello\" }}] }});";
        yield return "    console.log(chat.choices[0].message.content)'";
        yield return $"  OPENAI_API_KEY=$KEY OPENAI_BASE_URL=$URL {(credentials is null ? "" : "SSL_CERT_FILE=$CA ")}\\";
        yield return "    python3 -c 'from openai import OpenAI";
        yield return $"chat = OpenAI().chat.completions.create(model=\"{name}\",";
        yield return "  messages=[{\"role\": \"user\", \"content\": \"Hello\"}])";
        yield return "print(chat.choices[0].message.content)'";
        yield return "";
    }

    private static IEnumerable<string> Next(QuickstartRequest request, QuickstartReport report)
    {
        yield return "Next:";
        yield return $"  modelops chat {report.Deployment.Result.Name}{request.Home}";
        yield return $"  modelops artifacts lineage {report.Quantization.Result.Artifacts[0].Artifact}{request.Home}";
        if (report.Plan.Result.IsBounded)
        {
            yield return $"  {(request with { Unbounded = true }).Command}    # all {report.Plan.Result.AllSteps} steps";
        }
        if (request is { Data: not null, Base: null })
        {
            yield return $"  {(request with { Base = LargerBase }).Command}";
            yield return "    # the bundled base knows English words and little else: a larger one learns more";
        }
        if (request.Data is null)
        {
            yield return $"  modelops quickstart --data ./your-rows.jsonl{request.Home}";
            yield return "    # a line: {\"messages\": [{\"role\": \"user\", \"content\": \"…\"},";
            yield return "    #   {\"role\": \"assistant\", \"content\": \"…\"}]}";
            yield return "    # CSV, Parquet, Alpaca, ShareGPT and others too: docs/datasets.md";
        }
    }
}
