using ModelOps.Cli.Output;
using ModelOps.Cli.SignIn;
using ModelOps.Client;

namespace ModelOps.Cli.Serving;

/// <summary>Which server a command talks to, with which key and trust.</summary>
internal static class ServerAddress
{
    public static ModelOpsClient Connect(Invocation invocation)
    {
        if (invocation.ApiKey is null && invocation.Sessions.Find(invocation.ServerOption) is { } session)
        {
            return Connect(invocation, session);
        }
        var credentials = invocation.Home.ReadCredentials();
        var known = credentials is null ? null : new Uri(credentials.Server);
        if (invocation.ServerOption is { } server && !SameOrigin(server, known))
        {
            // The home's key and authority belong to the home's server: another one must not see the key.
            return new ModelOpsClient(server, invocation.ApiKey, null, invocation.ClientOptions);
        }
        if (credentials is null)
        {
            throw CliProblems.Exception(
                ProblemTypes.Unavailable, "Server unreachable",
                $"No server is known: {invocation.Home.CredentialsFile} does not exist. "
                + "Start one with 'modelops serve', or name one with --server and --api-key, or sign in with 'modelops login --server URL'.");
        }
        return Connect(invocation, credentials, invocation.ApiKey);
    }

    /// <summary>With the session's access token, renewed when it is about to end.</summary>
    public static ModelOpsClient Connect(Invocation invocation, StoredSession session)
    {
        var sessions = invocation.Sessions;
        return ModelOpsClient.WithTokens(
            new Uri(session.Server), token => sessions.AccessTokenAsync(session.Server, token), session.Ca, invocation.ClientOptions);
    }

    /// <summary>The home's own server.</summary>
    public static ModelOpsClient Connect(Invocation invocation, Credentials credentials, string? apiKey = null)
    {
        var home = invocation.Home;
        var ca = home.CaPath(credentials);
        return File.Exists(ca)
            ? new ModelOpsClient(new Uri(credentials.Server), apiKey ?? credentials.ApiKey, ca, invocation.ClientOptions)
            : throw new FileNotFoundException(
                $"{ca}, the authority that {home.CredentialsFile} names, does not exist; start the server ('modelops serve') to make it anew.");
    }

    private static bool SameOrigin(Uri server, Uri? known) =>
        known is not null && Uri.Compare(server, known, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;
}
