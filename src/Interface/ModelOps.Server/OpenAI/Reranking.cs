using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

// The shape of Jina's and Cohere's reranking, which vLLM and llama-server have too.

public sealed record RerankRequest
{
    public required string Model { get; init; }
    public required string Query { get; init; }

    /// <summary>Strings, or objects with a <c>text</c>.</summary>
    public required IReadOnlyList<JsonElement> Documents { get; init; }

    /// <summary>The best so many; without it all.</summary>
    public int? TopN { get; init; }

    /// <summary>Whether each result has its document.</summary>
    public bool? ReturnDocuments { get; init; }
}

/// <param name="Results">The most relevant first.</param>
public sealed record RerankResponse(string Object, string Model, IReadOnlyList<RerankResult> Results, EmbeddingUsage Usage);

/// <param name="Index">Of the document in the request.</param>
/// <param name="RelevanceScore">From 0 to 1.</param>
public sealed record RerankResult(int Index, float RelevanceScore, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] RerankDocument? Document);

public sealed record RerankDocument(string Text);

/// <summary>POST /v1/rerank.</summary>
internal static class RerankEndpoint
{
    private const int MostDocuments = 1024;

    public static async Task<IResult> CreateAsync(HttpContext context, ModelRouter router, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.RerankRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        if (request.Query.Length == 0) faults.Add("query", "must not be empty");
        if (request.Documents.Count is 0 or > MostDocuments) faults.Add("documents", $"must be 1 to {MostDocuments}, not {request.Documents.Count}");
        faults.Check("top_n", request.TopN, value => value >= 1, "at least 1");
        var documents = request.Documents.Select((document, i) => Text(document, i, faults)).ToList();
        if (faults.Any) return Problems.Invalid(faults);
        var scores = await router.RerankAsync(request.Model, request.Query, documents, cancellationToken);
        var results = scores.Scores
            .Select((score, i) => new RerankResult(i, score, request.ReturnDocuments == true ? new(documents[i]) : null))
            .OrderByDescending(result => result.RelevanceScore)
            .Take(request.TopN ?? documents.Count);
        return Results.Json(
            new RerankResponse("list", request.Model, [.. results], new(scores.PromptTokens, scores.PromptTokens)), OpenAIJson.Default.RerankResponse);
    }

    private static string Text(JsonElement document, int index, Faults faults)
    {
        switch (document.ValueKind)
        {
            case JsonValueKind.String:
                return document.GetString()!;
            case JsonValueKind.Object when document.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String:
                return text.GetString()!;
            default:
                faults.Add($"documents[{index}]", "must be a string, or an object with a text");
                return "";
        }
    }
}
