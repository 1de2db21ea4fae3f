namespace ModelOps.Client;

public sealed record HubOptions
{
    /// <summary>The environment variable that names another hub.</summary>
    public const string EndpointVariable = "HF_ENDPOINT";

    /// <summary>The environment variable that holds the token for private and gated models.</summary>
    public const string TokenVariable = "HF_TOKEN";

    /// <value>The default is https://huggingface.co.</value>
    public Uri Endpoint { get; init; } = new("https://huggingface.co");

    /// <summary>Sent to the endpoint alone, never to where it redirects, and never unencrypted beyond this machine.</summary>
    public string? Token { get; init; }

    /// <summary>How often in a row a connection may fail before it is given up; each byte that comes starts the count anew.</summary>
    /// <value>The default is 5.</value>
    public int Attempts { get; init; } = 5;

    /// <summary>The pause after the first failure; it doubles with each.</summary>
    /// <value>The default is 1 second.</value>
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a connection may be silent.</summary>
    /// <value>The default is 60 seconds.</value>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(60);

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <param name="variable">Reads an environment variable.</param>
    /// <exception cref="ModelOpsException">HF_ENDPOINT is not a http or https address.</exception>
    public static HubOptions FromEnvironment(Func<string, string?> variable)
    {
        var options = new HubOptions { Token = variable(TokenVariable) is { Length: > 0 } token ? token.Trim() : null };
        if (variable(EndpointVariable) is not { Length: > 0 } endpoint) return options;
        return Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) && uri.Scheme is ("http" or "https")
            ? options with { Endpoint = uri }
            : throw HubProblems.Of(ProblemTypes.Invalid, "Not an address", $"{EndpointVariable} is '{endpoint}', which is not a http or https address.");
    }
}
