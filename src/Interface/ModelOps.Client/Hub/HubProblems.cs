using System.Net;

namespace ModelOps.Client;

/// <summary>What the hub refuses, in words that say what to do.</summary>
internal static class HubProblems
{
    public static ModelOpsException Of(string type, string title, string detail) => new(new Problem { Type = type, Title = title, Detail = detail });

    /// <returns>Null for an answer that is none: try again.</returns>
    public static ModelOpsException? Of(HttpResponseMessage response, string what, HubOptions options)
    {
        var code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.FirstOrDefault() : null;
        var has = options.Token is null ? $"set {HubOptions.TokenVariable}" : $"the token in {HubOptions.TokenVariable} may not read it";
        return (code, response.StatusCode) switch
        {
            ("GatedRepo", _) => Of(
                ProblemTypes.Forbidden, "Gated model", $"{what} is gated: accept its terms on {options.Endpoint} with your account; {has}."),
            ("RevisionNotFound", _) => Of(ProblemTypes.NotFound, "No such revision", $"{what}: the model has no such branch, tag or commit."),
            ("EntryNotFound", _) => Of(ProblemTypes.NotFound, "No such file", $"{what} does not exist."),
            ("RepoNotFound", _) or (_, HttpStatusCode.Unauthorized) => Of(
                options.Token is null ? ProblemTypes.NotFound : ProblemTypes.Unauthorized, "No such model",
                $"{what} does not exist, or is private: check the name; {has}."),
            (_, HttpStatusCode.Forbidden) => Of(ProblemTypes.Forbidden, "Not allowed", $"The hub does not give {what}: {has}."),
            (_, HttpStatusCode.NotFound) => Of(ProblemTypes.NotFound, "Not found", $"{what} does not exist on {options.Endpoint}."),
            (_, HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout) or (_, >= HttpStatusCode.InternalServerError) => null,
            _ => Of(ProblemTypes.Unavailable, "Unexpected answer", $"The hub answers {(int)response.StatusCode} for {what}."),
        };
    }

    public static ModelOpsException Unreachable(HubOptions options, string what, Exception? cause) => Of(
        ProblemTypes.Unavailable, "Hub unreachable",
        $"{what} could not be had from {options.Endpoint} in {options.Attempts} tries{(cause is null ? "" : $" ({cause.Message})")}. "
        + "What has come is kept: the same command goes on from there.");
}
