using System.Net;
using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Turns an error answer into a <see cref="Problem"/>: problem details, OpenAI's error object, or the bare status.</summary>
internal static class ProblemReader
{
    public static async Task<ModelOpsException> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        byte[] body;
        try
        {
            body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException)
        {
            body = [];
        }
        return new ModelOpsException(Parse(body, response.Content.Headers.ContentType?.MediaType, status, response.ReasonPhrase));
    }

    internal static Problem Parse(ReadOnlySpan<byte> body, string? mediaType, int status, string? reason)
    {
        try
        {
            if (mediaType == "application/problem+json"
                && JsonSerializer.Deserialize(body, WireJson.Default.Problem) is { } problem)
            {
                return problem with { Status = status };
            }
            if (mediaType == "application/json"
                && JsonSerializer.Deserialize(body, WireJson.Default.OpenAIErrorBody) is { Error: { } error })
            {
                return new Problem { Type = TypeOf(status), Title = TitleOf(status, reason), Status = status, Detail = error.Message };
            }
        }
        catch (JsonException)
        {
            // Not what its media type says: the status is all there is.
        }
        var title = TitleOf(status, reason);
        return new Problem { Type = TypeOf(status), Title = title, Status = status, Detail = $"The server answered {title}." };
    }

    private static string TitleOf(int status, string? reason) =>
        $"{status} {(string.IsNullOrEmpty(reason) ? (HttpStatusCode)status : reason)}";

    private static string TypeOf(int status) => status switch
    {
        400 or 422 => ProblemTypes.Invalid,
        405 => ProblemTypes.MethodNotAllowed,
        408 => ProblemTypes.RequestTimeout,
        413 => ProblemTypes.TooLarge,
        415 => ProblemTypes.UnsupportedMediaType,
        429 => ProblemTypes.TooManyRequests,
        401 => ProblemTypes.Unauthorized,
        403 => ProblemTypes.Forbidden,
        404 => ProblemTypes.NotFound,
        409 or 412 => ProblemTypes.Conflict,
        502 or 503 or 504 => ProblemTypes.Unavailable,
        507 => ProblemTypes.InsufficientStorage,
        _ => ProblemTypes.Internal,
    };
}
