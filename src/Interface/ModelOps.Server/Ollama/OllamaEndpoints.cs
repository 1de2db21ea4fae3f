using System.Text.Json;
using ModelOps.Inference;
using ModelOps.Registry;
using ModelOps.Server.Deployments;
using ModelOps.Server.Generations;
using ModelOps.Server.OpenAI;

namespace ModelOps.Server.Ollama;

/// <summary>Ollama's API over the same models: for the clients that know no other.</summary>
public static class OllamaEndpoints
{
    private const string Lines = "application/x-ndjson";
    private const string LatestTag = ":latest";

    /// <summary>Whether a path is of this API, whose errors have their own shape.</summary>
    public static bool Owns(PathString path) => path.StartsWithSegments("/api", out var rest) && !rest.StartsWithSegments("/v1");

    public static void MapOllama(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup("/api").WithTags("ollama");
        api.MapGet("/version", () => Results.Json(new OllamaVersion(typeof(OllamaEndpoints).Assembly.GetName().Version!.ToString(3)), OllamaJson.Default.OllamaVersion))
            .WithName("ollamaVersion").WithSummary("Tells the server's version.").Produces<OllamaVersion>();
        api.MapGet("/tags", OllamaModelList.ListAsync)
            .WithName("ollamaListModels").WithSummary("Lists the models that are served.").Produces<OllamaModels>();
        api.MapPost("/show", OllamaModelList.ShowAsync)
            .WithName("ollamaShowModel").WithSummary("Tells of a served model.").Accepts<OllamaShowRequest>("application/json").Produces<OllamaShown>();
        api.MapPost("/chat", ChatAsync)
            .WithName("ollamaChat").WithSummary("Answers a chat, as a stream of lines unless stream is false.")
            .Accepts<OllamaChatRequest>("application/json").Produces<OllamaAnswer>(contentType: Lines);
        api.MapPost("/generate", GenerateAsync)
            .WithName("ollamaGenerate").WithSummary("Answers a prompt, as a stream of lines unless stream is false.")
            .Accepts<OllamaGenerateRequest>("application/json").Produces<OllamaAnswer>(contentType: Lines);
        api.MapPost("/embed", EmbedAsync)
            .WithName("ollamaEmbed").WithSummary("Gives vectors for texts.").Accepts<OllamaEmbedRequest>("application/json").Produces<OllamaEmbeddings>();
    }

    /// <summary>The name under which a model is served: Ollama's clients add <c>:latest</c> to a name without a tag.</summary>
    /// <exception cref="InferenceException">No such model.</exception>
    internal static string Served(ModelRouter router, string model)
    {
        var names = router.List().Select(route => route.Key).ToList();
        if (!names.Contains(model, StringComparer.Ordinal) && model.EndsWith(LatestTag, StringComparison.Ordinal) && names.Contains(model[..^LatestTag.Length], StringComparer.Ordinal))
            return model[..^LatestTag.Length];
        _ = router.Find(model);
        return model;
    }

    private static async Task<IResult> ChatAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OllamaJson.Default.OllamaChatRequest, cancellationToken) ?? throw new BadHttpRequestException("the body is null");
        var model = Served(router, request.Model);
        // Without messages a client only wants the model in memory, where it is.
        if (request.Messages is not { Count: > 0 }) return Loaded(new OllamaAnswer { Model = request.Model, CreatedAt = time.GetUtcNow(), Message = new("assistant", "") });
        var faults = new Faults();
        var generation = OllamaInput.Read(request, model, faults);
        return faults.Any ? Problems.Invalid(faults) : await AnswerAsync(new OllamaAnswers(request.Model, IsChat: true, time), generation, request, context, router, cancellationToken);
    }

    private static async Task<IResult> GenerateAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OllamaJson.Default.OllamaGenerateRequest, cancellationToken) ?? throw new BadHttpRequestException("the body is null");
        var model = Served(router, request.Model);
        if (request.Prompt is not { Length: > 0 }) return Loaded(new OllamaAnswer { Model = request.Model, CreatedAt = time.GetUtcNow(), Response = "" });
        var faults = new Faults();
        var generation = OllamaInput.Read(request, model, faults);
        return faults.Any ? Problems.Invalid(faults) : await AnswerAsync(new OllamaAnswers(request.Model, IsChat: false, time), generation, request, context, router, cancellationToken);
    }

    private static async Task<IResult> AnswerAsync(
        OllamaAnswers answers, GenerationRequest generation, OllamaGeneration request, HttpContext context, ModelRouter router, CancellationToken cancellationToken)
    {
        var started = await StartedAnswers.BeginAsync(router, [generation], cancellationToken);
        if (request.Stream == false) return Results.Json(await answers.FoldAsync(started), OllamaJson.Default.OllamaAnswer);
        return Results.Stream(stream => WriteAsync(stream, answers.LinesAsync(started, cancellationToken), context.RequestServices, cancellationToken), Lines);
    }

    private static async Task WriteAsync(Stream stream, IAsyncEnumerable<OllamaAnswer> lines, IServiceProvider services, CancellationToken cancellationToken)
    {
        await foreach (var (line, error) in EventStream.Told(lines, services, cancellationToken))
        {
            await stream.WriteAsync(
                error is null ? JsonSerializer.SerializeToUtf8Bytes(line!, OllamaJson.Default.OllamaAnswer) : JsonSerializer.SerializeToUtf8Bytes(new OllamaError(error.Error.Message), OllamaJson.Default.OllamaError),
                cancellationToken);
            await stream.WriteAsync("\n"u8.ToArray(), cancellationToken);
            await stream.FlushAsync(cancellationToken);
        }
    }

    private static async Task<IResult> EmbedAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var request = await context.Request.ReadFromJsonAsync(OllamaJson.Default.OllamaEmbedRequest, cancellationToken) ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        var inputs = EmbeddingEndpoint.Inputs(request.Input, faults);
        if (inputs.Exists(input => input is EmbeddingInput.Tokens)) faults.Add("input", "must be a text or a list of texts");
        faults.Check("dimensions", request.Dimensions, value => value >= 1, "at least 1");
        if (faults.Any) return Problems.Invalid(faults);
        var embeddings = await router.EmbedAsync(Served(router, request.Model), inputs, cancellationToken);
        return Results.Json(
            new OllamaEmbeddings(
                request.Model,
                [.. embeddings.Vectors.Select(vector => EmbeddingEndpoint.Shorten(vector, Math.Min(request.Dimensions ?? vector.Length, vector.Length)))],
                OllamaAnswers.Nanoseconds(time.GetElapsedTime(started)),
                embeddings.PromptTokens),
            OllamaJson.Default.OllamaEmbeddings);
    }

    private static IResult Loaded(OllamaAnswer answer) => Results.Json(answer with { Done = true, DoneReason = "load" }, OllamaJson.Default.OllamaAnswer);
}

/// <summary>An answer as Ollama tells it.</summary>
internal sealed record OllamaAnswers(string Model, bool IsChat, TimeProvider Time)
{
    private readonly long started = Time.GetTimestamp();

    public static long Nanoseconds(TimeSpan time) => time.Ticks * TimeSpan.NanosecondsPerTick;

    public async Task<OllamaAnswer> FoldAsync(StartedAnswers answers)
    {
        var folded = (await FoldedAnswer.AllAsync(answers.PiecesAsync(), 1))[0];
        return End(Line(folded.Text, folded.Reasoning, folded.ToolCalls, folded.Logprobs), folded);
    }

    public async IAsyncEnumerable<OllamaAnswer> LinesAsync(
        StartedAnswers answers, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var folded = new FoldedAnswer();
        await foreach (var (_, piece) in answers.PiecesAsync().WithCancellation(cancellationToken))
        {
            folded.Add(piece);
            if (piece.Text.Length > 0 || piece.Reasoning.Length > 0) yield return Line(piece.Text, piece.Reasoning, [], piece.Logprobs);
        }
        if (folded.Finish is null) throw FoldedAnswer.CutOff();
        // A call's arguments are an object here: it can be told only once it is whole.
        if (folded.ToolCalls is { Count: > 0 } calls) yield return Line("", "", calls, []);
        yield return End(Line("", "", [], []), folded);
    }

    private OllamaAnswer Line(string text, string thinking, IReadOnlyList<ToolCall> calls, IReadOnlyList<TokenLogprob> logprobs)
    {
        var thought = thinking.Length > 0 ? thinking : null;
        var answer = new OllamaAnswer
        {
            Model = Model,
            CreatedAt = Time.GetUtcNow(),
            Logprobs = logprobs.Count > 0 ? [.. logprobs.Select(OpenAIText.Of)] : null,
        };
        return !IsChat ? answer with { Response = text, Thinking = thought }
            : answer with { Message = new("assistant", text) { Thinking = thought, ToolCalls = calls.Count > 0 ? [.. calls.Select(ToWire)] : null } };
    }

    private OllamaAnswer End(OllamaAnswer line, FoldedAnswer folded) => line with
    {
        Done = true,
        DoneReason = folded.Finish == FinishReason.Length ? "length" : "stop",
        TotalDuration = Nanoseconds(Time.GetElapsedTime(started)),
        LoadDuration = folded.Times is { } times ? Nanoseconds(times.Load) : null,
        PromptEvalCount = folded.Usage?.PromptTokens,
        PromptEvalDuration = folded.Times is { } read ? Nanoseconds(read.Prompt) : null,
        EvalCount = folded.Usage?.CompletionTokens,
        EvalDuration = folded.Times is { } decoded ? Nanoseconds(decoded.Decode) : null,
    };

    private static OllamaToolCall ToWire(ToolCall call, int index)
    {
        try
        {
            return new(new(call.Name, JsonElement.Parse(call.Arguments.Length == 0 ? "{}" : call.Arguments)) { Index = index }) { Id = call.Id };
        }
        catch (JsonException e)
        {
            throw new InferenceException(InferenceError.Unavailable, $"the model called {call.Name} with arguments that are no JSON; ask again, or for more tokens", e);
        }
    }
}

/// <summary>What is served, as Ollama lists its models.</summary>
internal static class OllamaModelList
{
    public static async Task<IResult> ListAsync(ModelRouter router, DeploymentManager deployments, ArtifactRegistry registry, CancellationToken cancellationToken)
    {
        var models = new List<OllamaModel>();
        foreach (var (name, route) in router.List()) models.Add(Describe(name, route, await EntryAsync(route.Model, deployments, registry, cancellationToken)));
        return Results.Json(new OllamaModels(models), OllamaJson.Default.OllamaModels);
    }

    public static async Task<IResult> ShowAsync(
        HttpContext context, ModelRouter router, DeploymentManager deployments, ArtifactRegistry registry, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OllamaJson.Default.OllamaShowRequest, cancellationToken) ?? throw new BadHttpRequestException("the body is null");
        if ((request.Model ?? request.Name) is not { Length: > 0 } model)
        {
            var faults = new Faults();
            faults.Add("model", "must be the name of a model");
            return Problems.Invalid(faults);
        }
        var name = OllamaEndpoints.Served(router, model);
        var route = router.Find(name);
        var shown = Describe(name, route, await EntryAsync(route.Model, deployments, registry, cancellationToken));
        var info = new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["general.basename"] = JsonSerializer.SerializeToElement(name, OpenAIJson.Default.String) };
        if (deployments.Get(route.Model) is { } deployment)
            info["modelops.context_length"] = JsonSerializer.SerializeToElement(deployment.ContextSize, OpenAIJson.Default.Int32);
        return Results.Json(
            new OllamaShown($"FROM {name}", "", "", shown.Details, info, route.CreatedAt), OllamaJson.Default.OllamaShown);
    }

    private static async Task<ArtifactEntry?> EntryAsync(string deployment, DeploymentManager deployments, ArtifactRegistry registry, CancellationToken cancellationToken) =>
        deployments.Get(deployment) is { } found ? await registry.GetAsync(found.Artifact, cancellationToken) : null;

    private static OllamaModel Describe(string name, ModelRoute route, ArtifactEntry? artifact) => new(
        name,
        name,
        route.CreatedAt,
        artifact?.Size ?? 0,
        artifact?.Digest ?? "",
        new(
            artifact?.Manifest.Parents is [{ } parent, ..] ? parent.Artifact : "",
            artifact?.Manifest.Kind ?? "",
            Family: "",
            Families: [],
            ParameterSize: "",
            artifact?.Manifest.Recipe is { ValueKind: JsonValueKind.Object } recipe && recipe.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String
                ? type.GetString()!
                : ""));
}
