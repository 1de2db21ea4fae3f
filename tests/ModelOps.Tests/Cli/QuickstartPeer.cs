using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using ModelOps.Client;
using ModelOps.Tests.Client;

namespace ModelOps.Tests.Cli;

/// <summary>The REST contract of the main job, kept in memory: enough of a server to run quickstart against.</summary>
internal sealed class QuickstartPeer
{
    private readonly ConcurrentDictionary<string, byte> blobs = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Job> jobs = new(StringComparer.Ordinal);
    private readonly List<Artifact> artifacts = [];
    private readonly List<DatasetVersion> versions = [];
    private readonly List<Deployment> deployments = [];

    private static JsonElement[] Questions { get; } =
    [
        JsonDocument.Parse("""{"messages":[{"role":"user","content":"First?"},{"role":"assistant","content":"One."}]}""").RootElement,
        JsonDocument.Parse("""{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Second?"},{"role":"assistant","content":"Two."}]}""").RootElement,
    ];

    /// <summary>The failure that ingestion ends with; null for success.</summary>
    public JobError? IngestionError { get; init; }

    /// <summary>Called when training runs; the job then waits to be canceled, unless it was ended. Null lets it succeed.</summary>
    public Func<Task>? OnTraining { get; set; }

    /// <summary>Packed rows that the plan of a training has.</summary>
    public int PlannedRows { get; init; } = 2;

    public IEnumerable<Job> Jobs => jobs.Values;

    /// <summary>Lets every job of a kind be in another state, as after an interruption.</summary>
    public void Set(string kind, JobState state)
    {
        foreach (var job in jobs.Values.Where(job => job.Kind == kind)) jobs[job.Id] = job with { State = state };
    }

    public void Map(WebApplication app)
    {
        MapArtifacts(app);
        MapJobs(app);
        MapDeployments(app);
    }

    private void MapArtifacts(WebApplication app)
    {
        app.MapMethods("/api/v1/blobs/{sha256}", ["HEAD"], (string sha256) => blobs.ContainsKey(sha256) ? Results.Ok() : Results.NotFound());
        app.MapPut("/api/v1/blobs/{sha256}", async (string sha256, HttpRequest request) =>
        {
            await request.Body.CopyToAsync(Stream.Null);
            blobs[sha256] = 1;
            return Results.Json(new Blob(sha256, request.ContentLength ?? 0), WireJson.Default.Blob, statusCode: 201);
        });
        app.MapGet("/api/v1/artifacts", () => new Page<Artifact>(artifacts));
        app.MapGet("/api/v1/artifacts/{reference}", (string reference) =>
            artifacts.Find(artifact => reference == artifact.Name || reference == $"{artifact.Name}@{artifact.Version}") is { } found
                ? Results.Json(found, WireJson.Default.Artifact)
                : HttpsPeer.Problem(404, ProblemTypes.NotFound, $"There is no {reference}."));
        app.MapPost("/api/v1/artifacts", (CreateArtifact request) =>
            Results.Json(Register(request.Name, request.Kind, request.Files, request.License, request.Source), WireJson.Default.Artifact, statusCode: 201));
        app.MapPost("/api/v1/artifacts/{reference}/verify", (string reference) =>
            new Verification { Artifact = reference, Verified = true, Checks = [new(reference, "signature", true, null)] });
        app.MapGet("/api/v1/artifacts/{reference}/lineage", (string reference) => new LineageGraph
        {
            Root = reference,
            Nodes =
            [
                new LineageNode { Id = reference, Type = "artifact", Kind = "gguf", Stage = "DEV", CreatedAt = DateTimeOffset.UnixEpoch },
                new LineageNode { Id = "rows-lora@1", Type = "artifact", Kind = "adapter", Stage = "DEV", CreatedAt = DateTimeOffset.UnixEpoch },
            ],
            Edges = [new LineageEdge("rows-lora@1", reference, "adapter")],
        });
    }

    private Artifact Register(string name, string kind, IReadOnlyList<ArtifactFile> files, string? license = null, string? source = null)
    {
        var artifact = new Artifact
        {
            Name = name,
            Version = "1",
            Kind = kind,
            Stage = "DEV",
            Digest = new string('d', 64),
            CreatedAt = DateTimeOffset.UnixEpoch,
            CreatedBy = "admin",
            Size = files.Sum(file => file.Size),
            Files = files,
            License = license,
            Source = source,
            Parents = [],
            Metrics = new Dictionary<string, double>(StringComparer.Ordinal),
        };
        artifacts.Add(artifact);
        return artifact;
    }

    private void MapJobs(WebApplication app)
    {
        app.MapGet("/api/v1/datasets", () => new Page<Dataset>(versions.Count == 0 ? [] : [new Dataset { Name = "rows", Versions = versions }]));
        app.MapGet("/api/v1/datasets/{name}", (string name) => new Dataset { Name = name, Versions = versions });
        app.MapPost("/api/v1/datasets/{name}/versions", (string name, CreateDatasetVersion request) =>
        {
            var input = new JsonObject { ["dataset"] = name, ["source"] = new JsonObject { ["sha256"] = request.Source }, ["created_by"] = "admin" };
            if (IngestionError is { } error)
            {
                return Start("ingestion", JobState.Failed, input, null, error: error);
            }
            var rows = new Dictionary<string, long>(StringComparer.Ordinal) { ["train"] = 8, ["validation"] = 1, ["test"] = 1 };
            versions.Add(new DatasetVersion
            {
                Version = "1",
                CreatedAt = DateTimeOffset.UnixEpoch,
                Task = "sft",
                Rows = rows,
                RejectedRows = 0,
                SourceSha256 = request.Source,
                Artifact = $"{name}@1",
            });
            return Start("ingestion", JobState.Succeeded, input, ToElement(
                new IngestionResult
                {
                    Dataset = name,
                    Version = "1",
                    Artifact = $"{name}@1",
                    Report = Report(request.FileName, rows),
                },
                WireJson.Default.IngestionResult));
        });
        app.MapPost("/api/v1/datasets/{name}/query", (string name) => new QueryResult
        {
            Versions = new Dictionary<string, string>(StringComparer.Ordinal) { [name] = "1" },
            Columns = [new ResultColumn("messages", "STRUCT")],
            Rows = Questions,
        });
        app.MapPost("/api/v1/trainings/plan", (CreateTraining request) => Start("training_plan", JobState.Succeeded, InputOf(request), ToElement(
            new TrainingPlan
            {
                Recipe = JsonDocument.Parse($$"""{"steps":{{PlannedRows / 2 * 3}},"batch_size":2,"accumulation":1}""").RootElement,
                TrainRows = new(8, 0, 0),
                ValidationRows = new(1, 0, 0),
                PackedRows = PlannedRows,
                Tokens = PlannedRows * 1000L,
                Memory = [new("weights", 16_000_000)],
                MemoryNeeded = 16_000_000,
                MemoryAvailable = 1_000_000_000,
                WouldFit = [],
                Advice = [],
            },
            WireJson.Default.TrainingPlan)));
        app.MapPost("/api/v1/trainings", (CreateTraining request) => Start(
            "sft", OnTraining is null ? JobState.Succeeded : JobState.Running, InputOf(request), ToElement(
                new TrainingResult { Artifact = $"{request.Name}@1", Steps = request.MaxSteps ?? 3, Tokens = 99, LossBefore = 2.5, LossAfter = 1.25, EvaluatedOn = "validation", TruncatedRows = 0, SkippedRows = 0, Seconds = 0.5 },
                WireJson.Default.TrainingResult),
            made: request.Name));
        app.MapPost("/api/v1/evaluations", (CreateEvaluation request) => Start("evaluation", JobState.Succeeded, InputOf(request), ToElement(
            new EvaluationResult
            {
                Artifact = $"{request.Name}@1",
                Candidate = request.Artifact,
                Base = "tiny@1",
                Dataset = request.Dataset,
                Split = request.Split,
                Rows = 1,
                SkippedRows = 0,
                Metrics = [new("exact_match", new(0.75, 0.5, 1, 1), new(0.25, 0, 0.5, 1), new(0.5, 0.25, 0.75, 1))],
                Table = "evaluations/e@0",
                Seconds = 0.5,
            },
            WireJson.Default.EvaluationResult), made: request.Name));
        app.MapPost("/api/v1/quantizations", (CreateQuantization request) => Start("quantization", JobState.Succeeded, InputOf(request), ToElement(
            new QuantizationResult
            {
                Artifacts =
                [
                    new QuantizedFile
                    {
                        Artifact = $"{request.Name}@1",
                        Type = request.Types[0],
                        Size = 4_000_000,
                        BitsPerWeight = 8.5,
                        Quality = new QualityComparison
                        {
                            Texts = 4, Tokens = 100, SourcePerplexity = 3.1, Perplexity = 3.125,
                            KlDivergence = 1e-3, KlDivergenceP99 = 1e-2, KlDivergenceMax = 2e-2, TopOneAgreement = 0.99,
                        },
                        Speed = new MeasuredSpeed(2000, 500, 128, 1),
                    },
                ],
                Parity = new ParityReport { Prompts = 4, Tokens = 100, MaxLogitDifference = 1e-4, Tolerance = 1e-2, TokenAgreement = 1 },
            },
            WireJson.Default.QuantizationResult), made: request.Name));
        app.MapGet("/api/v1/jobs", (string? kind) => new Page<Job>([.. jobs.Values.Where(job => job.Kind == kind).OrderByDescending(job => job.Id)]));
        app.MapGet("/api/v1/jobs/{id}", (string id) => jobs[id]);
        app.MapGet("/api/v1/jobs/{id}/metrics", () => new Page<MetricSeries>(
            [new("loss", [.. Enumerable.Range(1, 3).Select(step => new MetricValue(step, DateTimeOffset.UnixEpoch, 3 - step))])]));
        app.MapPost("/api/v1/jobs/{id}/cancel", (string id) => jobs[id] = jobs[id] with { State = JobState.Canceled });
        app.MapPost("/api/v1/jobs/{id}/retry", (string id) => jobs[id] = jobs[id] with { State = JobState.Succeeded });
        app.MapPost("/api/v1/jobs/{id}/resume", (string id) => jobs[id] = jobs[id] with { State = JobState.Succeeded });
        app.MapGet("/api/v1/jobs/{id}/events", async (string id, HttpContext context) =>
        {
            for (var step = 1; step <= 3; step++)
            {
                var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["loss"] = 3 - step };
                await HttpsPeer.SendEventAsync(context, new JobEvent
                {
                    Sequence = step,
                    At = DateTimeOffset.UnixEpoch,
                    State = JobState.Running,
                    Progress = new JobProgress("train", step, 3, metrics),
                });
            }
            if (!jobs[id].State.IsFinal)
            {
                await OnTraining!();
                if (!jobs[id].State.IsFinal) await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            }
            await HttpsPeer.SendEventAsync(context, new JobEvent { Sequence = 4, At = DateTimeOffset.UnixEpoch, State = jobs[id].State });
        });
    }

    private void MapDeployments(WebApplication app)
    {
        app.MapGet("/api/v1/deployments", () => new Page<Deployment>(deployments));
        app.MapPost("/api/v1/deployments", (CreateDeployment request) =>
        {
            deployments.RemoveAll(deployment => deployment.Name == request.Name);
            deployments.Add(new Deployment
            {
                Name = request.Name,
                Artifact = request.Artifact,
                State = "ready",
                ContextSize = 512,
                Slots = 4,
                CreatedAt = DateTimeOffset.UnixEpoch,
            });
            return Results.Json(deployments[^1], WireJson.Default.Deployment, statusCode: 201);
        });
        app.MapPost("/v1/chat/completions", async context =>
        {
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"content":"An answer."},"finish_reason":"stop"}]}""");
            await HttpsPeer.SendEventAsync(context, "[DONE]");
        });
    }

    private IResult Start(string kind, JobState state, JsonObject input, JsonElement? result, string? made = null, JobError? error = null)
    {
        if (made is not null) Register(made, kind, []);
        var job = new Job
        {
            Id = $"j{jobs.Count + 1}",
            Kind = kind,
            State = state,
            CreatedAt = DateTimeOffset.UnixEpoch,
            Input = JsonSerializer.SerializeToElement(input),
            Result = result,
            Artifacts = made is null ? [] : [$"{made}@1"],
            Error = error,
        };
        jobs[job.Id] = job;
        return Results.Json(job, WireJson.Default.Job, statusCode: 202);
    }

    // As the server writes a job's input.
    private static JsonObject InputOf(CreateTraining request) => new()
    {
        ["base"] = request.Base,
        ["dataset"] = request.Dataset,
        ["name"] = request.Name,
        ["recipe"] = request.MaxSteps is { } steps ? new JsonObject { ["max_steps"] = steps } : new JsonObject(),
        ["created_by"] = "admin",
    };

    private static JsonObject InputOf(CreateEvaluation request) => new()
    {
        ["artifact"] = request.Artifact,
        ["against"] = null,
        ["dataset"] = request.Dataset,
        ["split"] = request.Split,
        ["metrics"] = new JsonArray([.. request.Metrics.Select(metric => JsonValue.Create(metric))]),
        ["rows"] = request.Rows,
        ["max_tokens"] = request.MaxTokens,
        ["seed"] = request.Seed,
        ["name"] = request.Name,
        ["created_by"] = "admin",
    };

    private static JsonObject InputOf(CreateQuantization request) => new()
    {
        ["artifact"] = request.Artifact,
        ["name"] = request.Name,
        ["created_by"] = "admin",
        ["types"] = new JsonArray([.. request.Types.Select(type => JsonValue.Create(type))]),
    };

    private static JsonElement ToElement<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToElement(value, type);

    private static IngestionReport Report(string fileName, Dictionary<string, long> splits)
    {
        var none = new Spread { Total = 0, Least = 0, Mean = 0, Most = 0 };
        return new()
        {
            Source = new() { FileName = fileName, Bytes = 1, Format = "jsonl", FormatReason = "r", Encoding = "UTF-8", Shape = "chat", ShapeReason = "r" },
            Task = "sft",
            Rows = new() { Read = 10, Kept = 10, Quarantined = 0, ExactDuplicates = 0, NearDuplicatesRemoved = 0 },
            Splits = splits,
            Quarantine = new() { Reasons = [], Examples = [] },
            Statistics = new()
            {
                MessagesByRole = new Dictionary<string, long>(StringComparer.Ordinal),
                Turns = none,
                Characters = none,
                RowsWithTools = 0,
                LongestRows = [],
                Scripts = new Dictionary<string, long>(StringComparer.Ordinal),
            },
        };
    }
}
