namespace ModelOps.Client;

/// <summary>The server refused or failed a request; <see cref="Problem"/> says why and its type is stable.</summary>
public class ModelOpsException(Problem problem, Exception? cause = null) : Exception(MessageOf(problem), cause)
{
    public Problem Problem { get; } = problem;

    private static string MessageOf(Problem problem) =>
        string.Join(Environment.NewLine, [problem.Detail ?? problem.Title, .. problem.Errors]);
}

/// <summary>No usable answer came from the server: nothing listens, the name is unknown, the certificate is not trusted.</summary>
public sealed class ServerUnreachableException(Uri server, string detail, Exception? cause = null)
    : ModelOpsException(new Problem { Type = ProblemTypes.Unavailable, Title = "Server unreachable", Detail = detail }, cause)
{
    public Uri Server { get; } = server;
}
