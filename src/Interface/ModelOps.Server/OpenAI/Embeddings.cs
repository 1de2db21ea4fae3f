using System.Runtime.InteropServices;
using System.Text.Json;
using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

// The shapes of embeddings in OpenAI's API description (openai/openai-openapi), as far as they are offered.

public sealed record EmbeddingRequest
{
    public required string Model { get; init; }

    /// <summary>A string, a list of strings, a list of tokens, or a list of such lists.</summary>
    public required JsonElement Input { get; init; }

    /// <summary><c>float</c> or <c>base64</c>: little-endian fp32.</summary>
    public string? EncodingFormat { get; init; }

    /// <summary>The leading so many values, scaled to length 1 again: of use with models that were trained for it (Matryoshka).</summary>
    public int? Dimensions { get; init; }
    public string? User { get; init; }
}

public sealed record EmbeddingList(string Object, IReadOnlyList<EmbeddingEntry> Data, string Model, EmbeddingUsage Usage);

/// <param name="Embedding">A list of numbers, or base64.</param>
public sealed record EmbeddingEntry(string Object, int Index, JsonElement Embedding);

public sealed record EmbeddingUsage(int PromptTokens, int TotalTokens);

/// <summary>POST /v1/embeddings.</summary>
internal static class EmbeddingEndpoint
{
    private const int MostInputs = 2048;

    public static async Task<IResult> CreateAsync(HttpContext context, ModelRouter router, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.EmbeddingRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        var inputs = Inputs(request.Input, faults);
        if (request.EncodingFormat is not (null or "float" or "base64")) faults.Add("encoding_format", $"must be float or base64, not '{request.EncodingFormat}'");
        faults.Check("dimensions", request.Dimensions, value => value >= 1, "at least 1");
        if (faults.Any) return Problems.Invalid(faults);
        var embeddings = await router.EmbedAsync(request.Model, inputs, cancellationToken);
        var size = embeddings.Vectors[0].Length;
        if (request.Dimensions > size)
        {
            faults.Add("dimensions", $"must be at most {size}, which the model's vectors have, not {request.Dimensions}");
            return Problems.Invalid(faults);
        }
        return Results.Json(
            new EmbeddingList(
                "list",
                [.. embeddings.Vectors.Select((vector, i) => new EmbeddingEntry("embedding", i, Encode(Shorten(vector, request.Dimensions), request.EncodingFormat)))],
                request.Model,
                new(embeddings.PromptTokens, embeddings.PromptTokens)),
            OpenAIJson.Default.EmbeddingList);
    }

    public static List<EmbeddingInput> Inputs(JsonElement input, Faults faults)
    {
        if (Input(input) is { } one) return [one];
        if (input.ValueKind == JsonValueKind.Array && input.GetArrayLength() is > 0 and <= MostInputs)
        {
            var all = input.EnumerateArray().Select(Input).ToList();
            if (all.TrueForAll(item => item is not null)) return all!;
        }
        faults.Add("input", $"must be a text that is not empty, a list of tokens, or a list of 1 to {MostInputs} of these");
        return [];
    }

    private static EmbeddingInput? Input(JsonElement input) => input.ValueKind switch
    {
        JsonValueKind.String when input.GetString() is { Length: > 0 } text => new EmbeddingInput.Text(text),
        JsonValueKind.Array when input.GetArrayLength() > 0 && input.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0) =>
            new EmbeddingInput.Tokens([.. input.EnumerateArray().Select(item => item.GetInt32())]),
        _ => null,
    };

    public static float[] Shorten(float[] vector, int? dimensions)
    {
        if (dimensions is not { } size || size == vector.Length) return vector;
        var leading = vector[..size];
        var length = MathF.Sqrt(leading.Sum(value => value * value));
        return length == 0 ? leading : [.. leading.Select(value => value / length)];
    }

    private static JsonElement Encode(float[] vector, string? format) => format == "base64"
        ? JsonSerializer.SerializeToElement(Convert.ToBase64String(MemoryMarshal.AsBytes<float>(vector)), OpenAIJson.Default.String)
        : JsonSerializer.SerializeToElement(vector, OpenAIJson.Default.SingleArray);
}
