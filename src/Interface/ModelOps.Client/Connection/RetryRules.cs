using System.Net;

namespace ModelOps.Client;

/// <summary>What may be sent again without risk of doing it twice.</summary>
internal static class RetryRules
{
    public static bool MayRepeat(HttpMethod method, HttpStatusCode status) =>
        IsIdempotent(method)
        && status is HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout;

    public static bool MayRepeat(HttpMethod method, HttpRequestError error) => error switch
    {
        // The request never left.
        HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError => true,
        HttpRequestError.ResponseEnded or HttpRequestError.HttpProtocolError or HttpRequestError.Unknown => IsIdempotent(method),
        _ => false,
    };

    /// <summary>How long the server asks to wait (Retry-After, in seconds or as a date); zero where it does not.</summary>
    public static TimeSpan AskedWait(HttpResponseMessage response, TimeProvider time)
    {
        var asked = response.Headers.RetryAfter;
        var wait = asked?.Delta ?? asked?.Date - time.GetUtcNow() ?? TimeSpan.Zero;
        return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
    }

    private static bool IsIdempotent(HttpMethod method) =>
        method == HttpMethod.Get || method == HttpMethod.Head || method == HttpMethod.Put || method == HttpMethod.Delete;
}
