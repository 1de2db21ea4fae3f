using System.Diagnostics;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Deployments;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Telemetry;

/// <summary>One run of everything on a real server, seen through its trace, its logs, and a real Prometheus with what deploy/observability ships.</summary>
[Collection(ServingTests.Name)]
public sealed class ObservabilityTests(ServingServer server)
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string CommandSpan = "b7ad6b7169203331";

    private static readonly Dictionary<string, string> caller = new(StringComparer.Ordinal) { ["TRACEPARENT"] = $"00-{TraceId}-{CommandSpan}-01" };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact(Timeout = 180_000)]
    public async Task OneRun_OfTrainingKilledWorkerAndChat_IsOneTraceAndStandsInPrometheus()
    {
        PrometheusServer.Require();
        await using var prometheus = await PrometheusServer.StartAsync(server.Server, Cancel);
        var exported = new List<Sample>();

        // 1. A training from the command line, whose worker is killed while it trains.
        var started = await RunAsync(
            "train", "sft", "--base", "base", "--dataset", "rows", "--name", "traced", "--max-steps", "100000", "--batch-size", "4", "--sequence-length", "64", "--json");
        var job = JsonSerializer.Deserialize(started.Out, WireJson.Default.Job)!;
        var seen = await UntilAsync(job, 0, Trains);
        using (var worker = Process.GetProcessById(TestServer.Workers(server.Home, "training").Single())) worker.Kill();
        seen = await UntilAsync(job, seen, next => next.Message?.StartsWith("attempt 2 of TrainAdapter begins", StringComparison.Ordinal) == true);
        await UntilAsync(job, seen, Trains);
        await Eventually.HoldsAsync(async () => (await prometheus.QueryAsync("modelops_training_step", Cancel)).Any(series => series.Labels["job_id"] == job.Id && series.Value > 0), Cancel);
        exported.AddRange(await ScrapeAsync());
        await server.Client.Jobs.CancelAsync(job.Id, Cancel);
        await server.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel);

        // 2. A deployment and a question to it by the same caller.
        await RunAsync("deploy", "base-q8", "--name", "traced", "--json");
        await RunAsync("chat", "traced", "--message", "What does \"river\" mean?", "--max-tokens", "8", "--json");

        // 3. All of it is one trace, the dead worker's try too.
        await Eventually.HoldsAsync(async () => (await SpansAsync(job)).Any(span => span.Name == "decode"), Cancel); // the engine's come with the next batch
        var spans = await SpansAsync(job);
        var request = Only("POST /api/v1/trainings");
        Assert.Equal((CommandSpan, "server", "server"), (request.ParentId, request.Kind, request.Service));
        Assert.Equal(202, request.Attributes["http.response.status_code"].GetInt32());
        var workflow = Below(request, "workflow SftTraining");
        Assert.Equal(job.Id, workflow.Attributes["modelops.job.id"].GetString());
        Assert.NotNull(workflow.EndedAt);
        Assert.Null(Below(workflow, "ResolveArtifact").Error);
        var tries = spans.Where(span => span.Name == "TrainAdapter").ToList();
        Assert.Equal([1, 2], tries.Select(span => span.Attributes["modelops.activity.attempt"].GetInt32()));
        Assert.All(tries, span => Assert.Equal(workflow.SpanId, span.ParentId));
        Assert.All(tries, span => Assert.StartsWith("training ", span.Service, StringComparison.Ordinal));
        Assert.Null(tries[0].EndedAt);
        Assert.StartsWith("canceled", tries[1].Error, StringComparison.Ordinal);
        var stages = spans.Where(span => span.ParentId == tries[1].SpanId).ToList();
        foreach (var name in (string[])["verifying", "prepare", "evaluate_before", "train"]) Assert.Contains(stages, stage => stage.Name == name);
        var steps = stages.First(span => span.Name == "train").Events;
        Assert.All(steps, step => Assert.True(step.Attributes["modelops.loss"].GetDouble() > 0));
        Assert.InRange(steps.Count, 1, 400);

        var load = Below(Only("POST /api/v1/deployments"), "load model");
        var weights = Only("load weights");
        Assert.StartsWith("inference ", weights.Service, StringComparison.Ordinal);
        Assert.Contains(load.SpanId, AboveOf(weights));
        var chat = Below(Only("POST /v1/chat/completions"), "chat traced");
        Assert.True(chat.Attributes["gen_ai.usage.output_tokens"].GetInt32() > 0);
        Assert.Equal("chat", chat.Attributes["gen_ai.operation.name"].GetString());
        Assert.Contains(chat.Events, happened => happened.Name == "first_token");
        foreach (var name in (string[])["queue", "prefill", "decode"]) Assert.Contains(chat.SpanId, AboveOf(Only(name)));
        Assert.DoesNotContain(spans, span => span.Name.Contains("metrics", StringComparison.Ordinal) || span.Name.Contains("reports", StringComparison.Ordinal) || span.Name.Contains("spans", StringComparison.Ordinal));

        // 4. The command prints it, and the log has what the server and the workers said.
        var tree = (await RunAsync("jobs", "show", job.Id, "--trace")).Out;
        Assert.Matches($"^trace {TraceId}, {spans.Count} spans, ", tree);
        Assert.Matches(@"\nmodelops train sft +[0-9.]+ (ms|s)", tree);
        Assert.Matches(@"\n  POST /api/v1/trainings +[0-9.]+ m?s  █*", tree);
        Assert.Matches(@"\n      TrainAdapter +not ended  ·*░+  training \d+@", tree);
        var log = (await RunAsync("jobs", "logs", job.Id)).Out;
        Assert.Contains("info     the job is running\n", log, StringComparison.Ordinal);
        Assert.Matches("error    the training worker was ended by SIGKILL.* while it ran a step of the job", log);
        Assert.EndsWith("info     the job is canceled\n", log, StringComparison.Ordinal);
        Assert.Equal(log, (await RunAsync("jobs", "logs", job.Id, "--trace", TraceId)).Out);
        Assert.Empty((await RunAsync("jobs", "logs", job.Id, "--trace", new string('1', 32))).Out);
        var lines = JsonSerializer.Deserialize((await RunAsync("jobs", "logs", job.Id, "--json")).Out, WireJson.Default.PageJobLogEntry)!.Items;
        Assert.All(lines, line => Assert.Equal(TraceId, line.TraceId));
        Assert.All(lines.Where(line => line.Step is null), line => Assert.Equal(workflow.SpanId, line.SpanId));
        Assert.All(
            lines.Where(line => line.Text.StartsWith("activity TrainAdapter started", StringComparison.Ordinal)).Zip(tries),
            pair => Assert.Equal(pair.Second.SpanId, pair.First.SpanId));

        // 5. Prometheus has the run's figures, and every shipped rule can be evaluated.
        await Eventually.HoldsAsync(
            async () => (await prometheus.QueryAsync("modelops_job_duration_seconds_count{job_kind=\"sft\",job_state=\"canceled\"}", Cancel)).Any(series => series.Value >= 1)
                && (await prometheus.QueryAsync("modelops_inference_tokens_total{model=\"traced\",token_type=\"completion\"}", Cancel)).Any(series => series.Value == chat.Attributes["gen_ai.usage.output_tokens"].GetInt32()),
            Cancel);
        Assert.True(Assert.Single(await prometheus.QueryAsync("max_over_time(modelops_worker_restarts_total{worker_role=\"training\"}[1m])", Cancel)).Value >= 1);
        var rules = PromQl.OfRules(await File.ReadAllTextAsync(Path.Combine(PrometheusServer.Shipped, "rules.yml"), Cancel)).ToList();
        await Eventually.HoldsAsync(async () => await prometheus.HealthyRulesAsync(Cancel) == rules.Count, Cancel);

        // 6. What rules and dashboards name is what the server exports, a refusal with it.
        Assert.Equal(ExitCodes.NotFound, (await CliRun.Of(["jobs", "show", "job-none", "--trace", "--home", server.Home], cancellationToken: Cancel)).Code);
        exported.AddRange(await ScrapeAsync());
        AssertNamesExist(rules, exported);
        AssertDocumented(exported);

        TraceSpan Below(TraceSpan parent, string name) => Only(name, span => span.ParentId == parent.SpanId);

        TraceSpan Only(string name, Func<TraceSpan, bool>? where = null)
        {
            var found = spans.Where(span => span.Name.TrimEnd('/') == name && where?.Invoke(span) != false).ToList();
            Assert.True(found.Count == 1, $"{found.Count} spans are {name} in\n{string.Join('\n', spans.Select(span => $"{span.ParentId} > {span.SpanId} {span.Service}: {span.Name}"))}");
            return found[0];
        }

        IEnumerable<string> AboveOf(TraceSpan span)
        {
            for (var at = span; at?.ParentId is { } parent; at = spans.FirstOrDefault(other => other.SpanId == parent)) yield return parent;
        }
    }

    private static void AssertNamesExist(List<(string? Recorded, string Expression)> rules, List<Sample> exported)
    {
        var labels = exported.GroupBy(sample => sample.Name, StringComparer.Ordinal).ToDictionary(
            same => same.Key, same => same.SelectMany(sample => sample.Labels.Keys).Concat(["instance", "job"]).ToHashSet(StringComparer.Ordinal), StringComparer.Ordinal);
        labels["up"] = ["instance", "job"];
        foreach (var (recorded, expression) in rules)
        {
            Check(expression, "rules.yml");
            if (recorded is not null) labels[recorded] = [.. recorded.Split(':')[0].Split("__"), .. PromQl.NamesIn(expression).Grouped];
        }
        var dashboards = Directory.GetFiles(Path.Combine(RepositoryRoot.Path, "deploy/observability/grafana/dashboards"), "*.json");
        Assert.NotEmpty(dashboards);
        foreach (var file in dashboards)
        {
            var expressions = PromQl.OfDashboard(JsonElement.Parse(File.ReadAllText(file))).ToList();
            Assert.NotEmpty(expressions);
            foreach (var expression in expressions) Check(expression, Path.GetFileName(file));
        }

        void Check(string expression, string file)
        {
            var (selectors, grouped) = PromQl.NamesIn(expression);
            Assert.NotEmpty(selectors);
            foreach (var (metric, wanted) in selectors)
            {
                Assert.True(labels.ContainsKey(metric), $"{file} names {metric}, which the server does not export: {expression}");
                var unknown = wanted.Except(labels[metric], StringComparer.Ordinal);
                Assert.True(!unknown.Any(), $"{file} names labels that {metric} does not have, {string.Join(", ", unknown)}: {expression}");
            }
            var known = selectors.SelectMany(selector => labels[selector.Metric]).ToHashSet(StringComparer.Ordinal);
            var ungrouped = grouped.Where(label => !known.Contains(label)).ToList();
            Assert.True(ungrouped.Count == 0, $"{file} groups by what no metric in it has, {string.Join(", ", ungrouped)}: {expression}");
        }
    }

    /// <summary>docs/observability.md has a row for each metric of ours, and none for another.</summary>
    private static void AssertDocumented(List<Sample> exported)
    {
        var ours = exported.Select(sample => sample.Name).Where(name => name.StartsWith("modelops_", StringComparison.Ordinal))
            .Select(name => name.EndsWith("_bucket", StringComparison.Ordinal) || name.EndsWith("_sum", StringComparison.Ordinal) || name.EndsWith("_count", StringComparison.Ordinal) ? name[..name.LastIndexOf('_')] : name)
            .ToHashSet(StringComparer.Ordinal);
        var documented = File.ReadLines(Path.Combine(RepositoryRoot.Path, "docs/observability.md"))
            .Where(line => line.StartsWith("| `modelops_", StringComparison.Ordinal)).Select(line => line.Split('`')[1]).ToHashSet(StringComparer.Ordinal);
        Assert.Empty(ours.Except(documented, StringComparer.Ordinal));
        Assert.Empty(documented.Except(ours, StringComparer.Ordinal).Except(onlyInTrouble, StringComparer.Ordinal));
    }

    /// <summary>A run without a fault has none of these.</summary>
    private static readonly string[] onlyInTrouble = ["modelops_inference_cold_start_duration_seconds"];

    private async Task<IReadOnlyList<Sample>> ScrapeAsync()
    {
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(server.Server.CaCertificate) },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        using var http = new HttpClient(handler) { BaseAddress = server.Client.Server };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", server.Server.ApiKey);
        return PrometheusText.Parse(await http.GetStringAsync(new Uri("metrics", UriKind.Relative), Cancel));
    }

    private async Task<IReadOnlyList<TraceSpan>> SpansAsync(Job job)
    {
        var trace = JsonSerializer.Deserialize((await RunAsync("jobs", "show", job.Id, "--trace", "--json")).Out, WireJson.Default.JobTrace)!;
        Assert.Equal((job.Id, TraceId), (trace.Job, trace.TraceId));
        return trace.Spans;
    }

    private async Task<long> UntilAsync(Job job, long after, Predicate<JobEvent> wanted) =>
        (await server.Client.Jobs.WatchAsync(job.Id, after, Cancel).FirstAsync(next => wanted(next), Cancel)).Sequence;

    private static bool Trains(JobEvent next) => next is { State: JobState.Running, Progress: { Stage: "train", Step: > 0 } };

    private async Task<CliRun> RunAsync(params string[] args)
    {
        var run = await CliRun.Of([.. args, "--home", server.Home], variables: args is ["jobs", ..] ? null : caller, cancellationToken: Cancel);
        Assert.True(run.Code == ExitCodes.Done, $"{string.Join(' ', args)} ended with {run.Code}:\n{run.Error}");
        return run;
    }
}
