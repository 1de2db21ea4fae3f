using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Inference;

namespace ModelOps.Server.OpenAI;

/// <summary>What requests to chat and to completions have in common; beside OpenAI's own parameters those that vLLM and llama-server have too.</summary>
public abstract record GenerationBody
{
    public required string Model { get; init; }
    public bool? Stream { get; init; }
    public StreamOptions? StreamOptions { get; init; }
    public int? MaxTokens { get; init; }
    public float? Temperature { get; init; }
    public float? TopP { get; init; }

    /// <summary>Of the first of several answers; the next has the next seed.</summary>
    public long? Seed { get; init; }
    public int? N { get; init; }
    public float? FrequencyPenalty { get; init; }
    public float? PresencePenalty { get; init; }

    /// <summary>From -100 to 100 for each token, which is named by its number.</summary>
    public IReadOnlyDictionary<string, float>? LogitBias { get; init; }

    /// <summary>A string or a list of up to four.</summary>
    public JsonElement? Stop { get; init; }

    /// <summary>vLLM's and llama-server's; 0 or -1: off.</summary>
    public int? TopK { get; init; }

    /// <summary>vLLM's and llama-server's; 0: off.</summary>
    public float? MinP { get; init; }

    /// <summary>vLLM's; 1: off.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>llama-server's name of repetition_penalty.</summary>
    public float? RepeatPenalty { get; init; }

    /// <summary>llama-server's: a grammar in GBNF that the answer must have; the root rule is <c>root</c>.</summary>
    public string? Grammar { get; init; }

    /// <summary>vLLM's: a JSON schema, or its text, that the answer must have.</summary>
    public JsonElement? GuidedJson { get; init; }

    /// <summary>vLLM's; below 0 before others, above 0 after them.</summary>
    public int? Priority { get; init; }

    /// <summary>What this server does not know or does not offer; it is refused by name, never ignored in silence.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; } // set: the deserializer fills it last
}

public sealed record StreamOptions(bool? IncludeUsage = null);

/// <summary>What the common parameters mean.</summary>
internal static class GenerationRules
{
    private const int MostAnswers = 16;
    private const int MostStops = 4;

    /// <summary>Accepted and without effect on the answer, as OpenAI documents them.</summary>
    private static readonly string[] harmless =
        ["user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "verbosity"];

    /// <summary>The request without its input; good only if no fault was added.</summary>
    public static GenerationRequest Read(GenerationBody body, GenerationInput input, int? maxTokens, int? topLogprobs, OutputConstraint? constraint, Faults faults)
    {
        faults.Check("temperature", body.Temperature, value => value is >= 0 and <= 2, "from 0 to 2");
        faults.Check("top_p", body.TopP, value => value is > 0 and <= 1, "above 0 and at most 1");
        faults.Check("max_tokens", maxTokens, value => value >= 1, "at least 1");
        faults.Check("n", body.N, value => value is >= 1 and <= MostAnswers, $"from 1 to {MostAnswers}");
        faults.Check("frequency_penalty", body.FrequencyPenalty, value => value is >= -2 and <= 2, "from -2 to 2");
        faults.Check("presence_penalty", body.PresencePenalty, value => value is >= -2 and <= 2, "from -2 to 2");
        faults.Check("top_k", body.TopK, value => value >= -1, "at least 0");
        faults.Check("min_p", body.MinP, value => value is >= 0 and <= 1, "from 0 to 1");
        faults.Check("repetition_penalty", body.RepetitionPenalty ?? body.RepeatPenalty, value => value is > 0 and <= 10, "above 0 and at most 10");
        if (body is { StreamOptions: not null, Stream: not true }) faults.Add("stream_options", "is for streams; set stream to true");
        return new GenerationRequest
        {
            Model = body.Model,
            Input = input,
            MaxTokens = maxTokens,
            Stop = Stops(body.Stop, faults),
            Constraint = Constraint(body, constraint, faults),
            TopLogprobs = topLogprobs,
            Priority = body.Priority switch { < 0 => RequestPriority.High, > 0 => RequestPriority.Low, _ => RequestPriority.Normal },
            Sampling = new SamplingSettings
            {
                Temperature = body.Temperature ?? 1,
                TopP = body.TopP ?? 1,
                TopK = Math.Max(0, body.TopK ?? 0),
                MinP = body.MinP ?? 0,
                FrequencyPenalty = body.FrequencyPenalty ?? 0,
                PresencePenalty = body.PresencePenalty ?? 0,
                RepeatPenalty = body.RepetitionPenalty ?? body.RepeatPenalty ?? 1,
                LogitBias = LogitBias(body.LogitBias, faults),
                Seed = body.Seed is { } seed ? unchecked((uint)seed) : AnySeed(),
            },
        };
    }

    public static uint AnySeed() => (uint)RandomNumberGenerator.GetInt32(int.MaxValue);

    /// <summary>One request for each answer that is wanted: the same with the next seed.</summary>
    public static IReadOnlyList<GenerationRequest> Repeat(GenerationRequest request, int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => request with { Sampling = request.Sampling with { Seed = unchecked(request.Sampling.Seed + (uint)i) } }),
    ];

    /// <param name="isDefault">Whether a value of a parameter that is not offered says no more than its absence.</param>
    public static void RefuseOthers(IDictionary<string, JsonElement>? others, Func<string, JsonElement, bool> isDefault, Faults faults)
    {
        foreach (var (name, value) in others ?? new Dictionary<string, JsonElement>())
            if (value.ValueKind != JsonValueKind.Null && !harmless.Contains(name, StringComparer.Ordinal) && !isDefault(name, value))
                faults.Add(name, "is not offered by this server; leave it out");
    }

    private static IReadOnlyList<string> Stops(JsonElement? stop, Faults faults)
    {
        switch (stop)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                return [];
            case { ValueKind: JsonValueKind.String } one when one.GetString()!.Length > 0:
                return [one.GetString()!];
            case { ValueKind: JsonValueKind.Array } list when list.GetArrayLength() <= MostStops
                && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length > 0):
                return [.. list.EnumerateArray().Select(item => item.GetString()!)];
            default:
                faults.Add("stop", "must be a string or a list of up to four strings, none of them empty");
                return [];
        }
    }

    private static OutputConstraint? Constraint(GenerationBody body, OutputConstraint? format, Faults faults)
    {
        var constraints = new[]
        {
            format,
            body.Grammar is { Length: > 0 } grammar ? new OutputConstraint.Grammar(grammar) : null,
            body.GuidedJson is { } schema ? Schema(schema, faults) : null,
        }.OfType<OutputConstraint>().ToList();
        if (constraints.Count > 1) faults.Add("response_format", "and grammar and guided_json exclude each other; give one");
        return constraints.FirstOrDefault();
    }

    private static OutputConstraint.JsonSchema? Schema(JsonElement schema, Faults faults)
    {
        try
        {
            if (schema.ValueKind == JsonValueKind.String) schema = JsonElement.Parse(schema.GetString()!);
        }
        catch (JsonException)
        {
            // It is refused below, for it is a text still.
        }
        if (schema.ValueKind == JsonValueKind.Object) return new(schema);
        if (schema.ValueKind != JsonValueKind.Null) faults.Add("guided_json", "must be a JSON schema: an object, or its text");
        return null;
    }

    private static Dictionary<int, float> LogitBias(IReadOnlyDictionary<string, float>? biases, Faults faults)
    {
        var byToken = new Dictionary<int, float>();
        foreach (var (token, bias) in biases ?? new Dictionary<string, float>())
        {
            if (!int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out var id)) faults.Add($"logit_bias.{token}", "must be a token's number");
            else if (bias is not (>= -100 and <= 100)) faults.Add($"logit_bias.{token}", $"must be from -100 to 100, not {bias}");
            else byToken[id] = bias;
        }
        return byToken;
    }
}
