using System.Collections.Concurrent;
using System.Text.Json;
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

    /// <summary>The failure that ingestion ends with; null for success.</summary>
    public JobError? IngestionError { get; init; }

    /// <summary>Called when training runs; the job then waits to be canceled. Null lets it succeed.</summary>
    public Func<Task>? OnTraining { get; init; }

    public IEnumerable<Job> Jobs => jobs.Values;

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
        app.MapPost("/api/v1/artifacts", (CreateArtifact request) =>
        {
            var artifact = new Artifact
            {
                Name = request.Name,
                Version = "1",
                Kind = request.Kind,
                Stage = "DEV",
                Digest = new string('d', 64),
                CreatedAt = DateTimeOffset.UnixEpoch,
                CreatedBy = "admin",
                Size = request.Files.Sum(file => file.Size),
                Files = request.Files,
                License = request.License,
                Source = request.Source,
                Parents = [],
                Metrics = new Dictionary<string, double>(StringComparer.Ordinal),
            };
            artifacts.Add(artifact);
            return Results.Json(artifact, WireJson.Default.Artifact, statusCode: 201);
        });
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

    private void MapJobs(WebApplication app)
    {
        app.MapGet("/api/v1/datasets", () => new Page<Dataset>(versions.Count == 0 ? [] : [new Dataset { Name = "rows", Versions = versions }]));
        app.MapGet("/api/v1/datasets/{name}", (string name) => new Dataset { Name = name, Versions = versions });
        app.MapPost("/api/v1/datasets/{name}/versions", (string name, CreateDatasetVersion request) =>
        {
            if (IngestionError is { } error)
            {
                return Start("ingestion", JobState.Failed, null, error);
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
            return Start("ingestion", JobState.Succeeded, ToElement(
                new IngestionResult
                {
                    Dataset = name,
                    Version = "1",
                    Artifact = $"{name}@1",
                    Report = Report(request.FileName, rows),
                },
                WireJson.Default.IngestionResult));
        });
        app.MapPost("/api/v1/trainings", (CreateTraining request) => OnTraining is null
            ? Start("sft", JobState.Succeeded, ToElement(
                new TrainingResult { Artifact = $"{request.Name}@1", Steps = 3, Tokens = 99, LossBefore = 2.5, LossAfter = 1.25, EvaluatedOn = "validation", TruncatedRows = 0, SkippedRows = 0, Seconds = 0.5 },
                WireJson.Default.TrainingResult))
            : Start("sft", JobState.Running, null));
        app.MapPost("/api/v1/quantizations", (CreateQuantization request) => Start("quantization", JobState.Succeeded, ToElement(
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
            WireJson.Default.QuantizationResult)));
        app.MapGet("/api/v1/jobs/{id}", (string id) => jobs[id]);
        app.MapPost("/api/v1/jobs/{id}/cancel", (string id) => jobs[id] = jobs[id] with { State = JobState.Canceled });
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
            if (jobs[id].State == JobState.Running)
            {
                await OnTraining!();
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            }
            await HttpsPeer.SendEventAsync(context, new JobEvent { Sequence = 4, At = DateTimeOffset.UnixEpoch, State = jobs[id].State });
        });
    }

    private void MapDeployments(WebApplication app)
    {
        app.MapGet("/api/v1/deployments", () => new Page<Deployment>(deployments));
        app.MapDelete("/api/v1/deployments/{name}", (string name) =>
        {
            deployments.RemoveAll(deployment => deployment.Name == name);
            return Results.NoContent();
        });
        app.MapPost("/api/v1/deployments", (CreateDeployment request) =>
        {
            if (deployments.Exists(deployment => deployment.Name == request.Name))
            {
                return HttpsPeer.Problem(409, ProblemTypes.Conflict, "The name is taken.");
            }
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

    private IResult Start(string kind, JobState state, JsonElement? result, JobError? error = null)
    {
        var job = new Job
        {
            Id = $"j{jobs.Count + 1}",
            Kind = kind,
            State = state,
            CreatedAt = DateTimeOffset.UnixEpoch,
            Input = JsonDocument.Parse("{}").RootElement,
            Result = result,
            Error = error,
        };
        jobs[job.Id] = job;
        return Results.Json(job, WireJson.Default.Job, statusCode: 202);
    }

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
