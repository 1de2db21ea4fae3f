using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Backends;

/// <summary>Which API a backend speaks.</summary>
public enum BackendKind
{
    Openai,
    Ollama,
}

/// <summary>Servers of others whose models are offered beside the deployments: vLLM, TGI, LiteLLM, llama-server, Ollama, another ModelOps.</summary>
public sealed record BackendOptions : IValidatableObject
{
    /// <summary>The API that it speaks.</summary>
    public required BackendKind Kind { get; init; }

    /// <summary>Its address: of OpenAI's API with its path, as <c>https://host:8000/v1</c>; of Ollama <c>http://host:11434</c>.</summary>
    public required Uri Url { get; init; }

    /// <summary>Sent to it as a bearer token.</summary>
    [DataType(DataType.Password)]
    public string? Key { get; init; }

    /// <summary>PEM file of the authority that signed its certificate; without one the system's authorities.</summary>
    public string? Ca { get; init; }

    /// <summary>Models of it that are offered; without any all that it lists.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>How often it is asked for its models, which also shows that it lives; a model of a backend that is down is not listed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan CheckEvery { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Time to the first piece of an answer, of each try.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan FirstToken { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Time from one piece of an answer to the next.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan NextToken { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Further tries of a request when the backend fails; never once a piece of the answer has come.</summary>
    [Range(0, 10)]
    public int Retries { get; init; } = 2;

    /// <summary>Failed tries within half a minute, if they are half of all, after which requests are refused at once.</summary>
    [Range(2, 1000)]
    public int BreakAfter { get; init; } = 6;

    /// <summary>How long they are refused.</summary>
    [Range(typeof(TimeSpan), "00:00:00.500", "01:00:00")]
    public TimeSpan BreakFor { get; init; } = TimeSpan.FromSeconds(10);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Url is { Scheme: not ("http" or "https") }) yield return new($"'{Url}' is neither http nor https", [nameof(Url)]);
        if (Url is { UserInfo.Length: > 0 }) yield return new("a secret in an address ends up in logs; give it as key", [nameof(Url)]);
        if (Ca is not null && !File.Exists(Ca)) yield return new($"there is no file {Ca}", [nameof(Ca)]);
    }
}
