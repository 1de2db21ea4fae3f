using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Server.Ollama;

// The shapes of Ollama's API (github.com/ollama/ollama, docs/api.md), as far as they are offered.

public abstract record OllamaGeneration
{
    public required string Model { get; init; }

    /// <summary>A stream of lines unless it is false.</summary>
    public bool? Stream { get; init; }

    /// <summary><c>json</c>, or a JSON schema that the answer must have.</summary>
    public JsonElement? Format { get; init; }
    public OllamaOptions? Options { get; init; }

    /// <summary>The variable <c>enable_thinking</c> of the model's chat template.</summary>
    public JsonElement? Think { get; init; }
    public bool? Logprobs { get; init; }
    public int? TopLogprobs { get; init; }

    /// <summary>Without effect: how long a model stays in memory is the deployment's matter.</summary>
    public JsonElement? KeepAlive { get; init; }
}

public sealed record OllamaChatRequest : OllamaGeneration
{
    public IReadOnlyList<OllamaMessage>? Messages { get; init; }
    public IReadOnlyList<JsonElement>? Tools { get; init; }
}

public sealed record OllamaGenerateRequest : OllamaGeneration
{
    public string? Prompt { get; init; }
    public string? System { get; init; }

    /// <summary>Whether the prompt is taken as it is, without the model's chat template.</summary>
    public bool? Raw { get; init; }

    /// <summary>Refused: no text is inserted before another.</summary>
    public string? Suffix { get; init; }

    /// <summary>Refused: the model's own is the only one.</summary>
    public string? Template { get; init; }
    public IReadOnlyList<string>? Images { get; init; }

    /// <summary>Refused: nothing is kept.</summary>
    public IReadOnlyList<int>? Context { get; init; }
}

/// <summary>How tokens are chosen; what is absent is as in Ollama.</summary>
public sealed record OllamaOptions
{
    /// <value>The default is 0.8.</value>
    public float? Temperature { get; init; }

    /// <value>The default is 40.</value>
    public int? TopK { get; init; }

    /// <value>The default is 0.9.</value>
    public float? TopP { get; init; }
    public float? MinP { get; init; }
    public long? Seed { get; init; }

    /// <summary>Tokens at most; below 0 up to the end of the context.</summary>
    public int? NumPredict { get; init; }
    public IReadOnlyList<string>? Stop { get; init; }

    /// <value>The default is 1.1.</value>
    public float? RepeatPenalty { get; init; }
    public float? PresencePenalty { get; init; }
    public float? FrequencyPenalty { get; init; }
}

public sealed record OllamaMessage(string Role, string? Content = null)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Thinking { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<OllamaToolCall>? ToolCalls { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ToolName { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ToolCallId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Images { get; init; }
}

public sealed record OllamaToolCall(OllamaFunctionCall Function)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }
}

/// <param name="Arguments">A JSON object.</param>
public sealed record OllamaFunctionCall(string Name, JsonElement Arguments)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Index { get; init; }
}

/// <summary>A line of an answer: of a chat it has a message, else a response. The last one has the reason of the end, counts, and times in nanoseconds.</summary>
public sealed record OllamaAnswer
{
    public required string Model { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public OllamaMessage? Message { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Response { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Thinking { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<OpenAI.ChatTokenLogprob>? Logprobs { get; init; }
    public bool Done { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DoneReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TotalDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? LoadDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? PromptEvalCount { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? PromptEvalDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? EvalCount { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? EvalDuration { get; init; }
}

public sealed record OllamaEmbedRequest
{
    public required string Model { get; init; }

    /// <summary>A string, or a list of strings.</summary>
    public required JsonElement Input { get; init; }

    /// <summary>Without effect: a text that is too long is an error, not a shorter text.</summary>
    public bool? Truncate { get; init; }
    public int? Dimensions { get; init; }
    public JsonElement? Options { get; init; }
    public JsonElement? KeepAlive { get; init; }
}

public sealed record OllamaEmbeddings(string Model, IReadOnlyList<float[]> Embeddings, long TotalDuration, int PromptEvalCount);

public sealed record OllamaModels(IReadOnlyList<OllamaModel> Models);

/// <param name="Digest">SHA-256 of the artifact's manifest; empty for a model of a backend.</param>
/// <param name="Size">Bytes of the artifact's files.</param>
public sealed record OllamaModel(string Name, string Model, DateTimeOffset ModifiedAt, long Size, string Digest, OllamaDetails Details);

/// <param name="QuantizationLevel">As the artifact's recipe says it; empty where it is not known.</param>
public sealed record OllamaDetails(string ParentModel, string Format, string Family, IReadOnlyList<string> Families, string ParameterSize, string QuantizationLevel);

public sealed record OllamaShowRequest
{
    public string? Model { get; init; }

    /// <summary>The older name of model.</summary>
    public string? Name { get; init; }
}

public sealed record OllamaShown(
    string Modelfile, string Parameters, string Template, OllamaDetails Details, IReadOnlyDictionary<string, JsonElement> ModelInfo, DateTimeOffset ModifiedAt);

public sealed record OllamaVersion(string Version);

public sealed record OllamaError(string Error);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(OllamaAnswer))]
[JsonSerializable(typeof(OllamaChatRequest))]
[JsonSerializable(typeof(OllamaEmbeddings))]
[JsonSerializable(typeof(OllamaEmbedRequest))]
[JsonSerializable(typeof(OllamaError))]
[JsonSerializable(typeof(OllamaGenerateRequest))]
[JsonSerializable(typeof(OllamaModels))]
[JsonSerializable(typeof(OllamaShown))]
[JsonSerializable(typeof(OllamaShowRequest))]
[JsonSerializable(typeof(OllamaVersion))]
internal sealed partial class OllamaJson : JsonSerializerContext;
