using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>One message of a conversation, in OpenAI's form.</summary>
/// <param name="Content">Null where an assistant message only calls tools.</param>
public sealed record ChatTurn(string Role, string? Content)
{
    public string? Name { get; init; }

    /// <summary>Of an assistant.</summary>
    public IReadOnlyList<ToolCall> ToolCalls { get; init; } = [];

    /// <summary>Which call a message of the role tool answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>What an assistant thought before it answered.</summary>
    public string? Reasoning { get; init; }
}

/// <param name="Arguments">A JSON object.</param>
public sealed record ToolCall(string Id, string Name, string Arguments);

/// <summary>Whether the model may or must call tools.</summary>
public abstract record ToolChoice
{
    private ToolChoice()
    {
    }

    /// <summary>As the model likes.</summary>
    public sealed record Auto : ToolChoice;

    public sealed record None : ToolChoice;

    /// <summary>At least one, whichever.</summary>
    public sealed record Required : ToolChoice;

    public sealed record Function(string Name) : ToolChoice;
}

/// <summary>What to continue: a conversation, rendered with the model's own template, or a prompt taken as it is.</summary>
public abstract record GenerationInput
{
    private GenerationInput()
    {
    }

    public sealed record Chat(IReadOnlyList<ChatTurn> Messages) : GenerationInput
    {
        /// <summary>Each as an item of OpenAI's <c>tools</c>.</summary>
        public IReadOnlyList<JsonElement> Tools { get; init; } = [];

        public ToolChoice ToolChoice { get; init; } = new ToolChoice.Auto();

        /// <summary>The template's own variables, such as <c>enable_thinking</c>.</summary>
        public IReadOnlyDictionary<string, JsonElement>? TemplateVariables { get; init; }
    }

    public sealed record Prompt(string Text) : GenerationInput;
}

public sealed record SamplingSettings
{
    /// <value>The default is 1; 0 is greedy.</value>
    public float Temperature { get; init; } = 1;

    /// <value>The default is 1: off.</value>
    public float TopP { get; init; } = 1;

    /// <value>The default is 0: off.</value>
    public int TopK { get; init; }

    /// <value>The default is 0: off.</value>
    public float MinP { get; init; }

    public required uint Seed { get; init; }

    /// <value>The default is 0: off.</value>
    public float FrequencyPenalty { get; init; }

    /// <value>The default is 0: off.</value>
    public float PresencePenalty { get; init; }

    /// <value>The default is 1: off.</value>
    public float RepeatPenalty { get; init; } = 1;

    /// <summary>Added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();
}

/// <summary>What form the answer must have.</summary>
public abstract record OutputConstraint
{
    private OutputConstraint()
    {
    }

    /// <param name="Gbnf">llama.cpp's grammar notation; the root rule is <c>root</c>.</param>
    public sealed record Grammar(string Gbnf) : OutputConstraint;

    /// <summary>JSON that has the schema; <c>{}</c> is any object.</summary>
    public sealed record JsonSchema(JsonElement Schema) : OutputConstraint;
}

public enum RequestPriority
{
    Normal,
    High,
    Low,
}

public sealed record GenerationRequest
{
    public required string Model { get; init; }

    /// <value>The default is null: the model itself.</value>
    public string? Adapter { get; init; }

    public required GenerationInput Input { get; init; }

    /// <value>The default is null: up to the end of the context.</value>
    public int? MaxTokens { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];
    public required SamplingSettings Sampling { get; init; }

    /// <value>The default is null: free text.</value>
    public OutputConstraint? Constraint { get; init; }

    /// <summary>How many alternatives to tell of for each token, with their log probabilities.</summary>
    /// <value>The default is null: no log probabilities; 0 is those of the chosen tokens alone.</value>
    public int? TopLogprobs { get; init; }

    public RequestPriority Priority { get; init; }
}

public enum FinishReason
{
    Stop,
    Length,
    ToolCalls,
}

/// <param name="CachedPromptTokens">Of the prompt's tokens, those whose keys and values were still there.</param>
public sealed record TokenUsage(int PromptTokens, int CompletionTokens, int CachedPromptTokens = 0);

/// <param name="Queue">Until a slot was free.</param>
/// <param name="Prompt">From there to the first token.</param>
/// <param name="Decode">From there to the last.</param>
/// <param name="Load">A cold start; zero if the model was in memory.</param>
public sealed record GenerationTimes(TimeSpan Queue, TimeSpan Prompt, TimeSpan Decode, TimeSpan Load);

/// <summary>The first delta of an index has the id and the name; arguments, a JSON text, come in pieces.</summary>
public sealed record ToolCallDelta(int Index, string? Id, string? Name, string Arguments);

/// <param name="Token">Its bytes, which may be a part of a character.</param>
/// <param name="LogProbability">Natural logarithm, before temperature and filters.</param>
/// <param name="Top">The likeliest at its place, likeliest first.</param>
public sealed record TokenLogprob(ReadOnlyMemory<byte> Token, float LogProbability, IReadOnlyList<TokenLogprob> Top);

/// <summary>
/// A piece of the answer, whole UTF-8 characters only; the last one has <see cref="Finish"/> and <see cref="Usage"/>, the usage unless another server
/// answers that does not count.
/// </summary>
public sealed record GenerationPiece(string Text, FinishReason? Finish = null, TokenUsage? Usage = null)
{
    /// <summary>What the model thought, where its template marks that.</summary>
    public string Reasoning { get; init; } = "";

    public IReadOnlyList<ToolCallDelta> ToolCalls { get; init; } = [];

    /// <summary>Of the tokens whose text this piece ends; empty unless they were asked for.</summary>
    public IReadOnlyList<TokenLogprob> Logprobs { get; init; } = [];

    /// <summary>On the last piece, if the backend tells.</summary>
    public GenerationTimes? Times { get; init; }

    /// <summary>Nothing of the answer is in it.</summary>
    public bool IsEmpty => Text.Length == 0 && Reasoning.Length == 0 && ToolCalls.Count == 0 && Logprobs.Count == 0;
}

/// <summary>A text, or tokens in its place.</summary>
public abstract record EmbeddingInput
{
    private EmbeddingInput()
    {
    }

    public sealed record Text(string Value) : EmbeddingInput;

    public sealed record Tokens(IReadOnlyList<int> Ids) : EmbeddingInput;
}

/// <param name="Vectors">One per input, in their order.</param>
public sealed record Embeddings(IReadOnlyList<float[]> Vectors, int PromptTokens);

/// <param name="Scores">One per document, in their order, each from 0 to 1.</param>
public sealed record DocumentScores(IReadOnlyList<float> Scores, int PromptTokens);

public enum InferenceError
{
    /// <summary>No deployment has that name.</summary>
    ModelNotFound,

    /// <summary>The request itself is wrong.</summary>
    InvalidRequest,

    /// <summary>The prompt has more tokens than the context; the message has both numbers.</summary>
    PromptTooLong,

    /// <summary>The model or the backend cannot do this at all.</summary>
    NotSupported,

    /// <summary>The model's files do not verify.</summary>
    VerificationFailed,

    /// <summary>Every slot and the queue are taken.</summary>
    Busy,

    /// <summary>The backend is down or starting.</summary>
    Unavailable,
}

public sealed class InferenceException(InferenceError error, string message, Exception? cause = null) : Exception(message, cause)
{
    public InferenceError Error { get; } = error;

    /// <summary>After which a busy backend may be asked again, if it tells.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
