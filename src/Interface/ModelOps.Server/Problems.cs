using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Telemetry;

namespace ModelOps.Server;

/// <summary>Every refusal, in the shape of the surface that was asked: RFC 9457 under /api/v1, OpenAI's error object under /v1.</summary>
public static partial class Problems
{
    private const string TooLarge = "the body is larger than limits:request_bytes allows; files go to /api/v1/blobs, which has no limit";

    public static IResult NotFound(string detail) => Of(ProblemTypes.NotFound, StatusCodes.Status404NotFound, detail);

    public static IResult Conflict(string detail) => Of(ProblemTypes.Conflict, StatusCodes.Status409Conflict, detail);

    public static IResult Unauthorized(string detail) => Of(ProblemTypes.Unauthorized, StatusCodes.Status401Unauthorized, detail);

    /// <param name="errors">Every fault found, each saying what, where and what to do.</param>
    public static IResult Invalid(params IReadOnlyList<string> errors) =>
        Of(ProblemTypes.Invalid, StatusCodes.Status400BadRequest, errors.Count == 1 ? errors[0] : $"{errors.Count} faults", errors);

    public static IResult VerificationFailed(string detail) =>
        Of(ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity, detail);

    public static IResult Of(string type, int status, string detail, IReadOnlyList<string>? errors = null) =>
        new ProblemResult(new Problem { Type = type, Title = Title(type), Status = status, Detail = detail, Errors = errors ?? [] });

    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler(handler => handler.Run(context =>
        {
            var error = context.Features.Get<IExceptionHandlerFeature>()!.Error;
            if (context.RequestAborted.IsCancellationRequested) return Task.CompletedTask;
            return FromException(error, context.RequestServices.GetRequiredService<ILoggerFactory>()).ExecuteAsync(context);
        }));
        app.UseStatusCodePages(pages => FromStatus(pages.HttpContext).ExecuteAsync(pages.HttpContext));
    }

    /// <summary>The type of a status that stands for itself.</summary>
    public static string TypeOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => ProblemTypes.Unauthorized,
        StatusCodes.Status403Forbidden => ProblemTypes.Forbidden,
        StatusCodes.Status404NotFound => ProblemTypes.NotFound,
        StatusCodes.Status405MethodNotAllowed => ProblemTypes.MethodNotAllowed,
        StatusCodes.Status408RequestTimeout => ProblemTypes.RequestTimeout,
        StatusCodes.Status409Conflict => ProblemTypes.Conflict,
        StatusCodes.Status413PayloadTooLarge => ProblemTypes.TooLarge,
        StatusCodes.Status415UnsupportedMediaType => ProblemTypes.UnsupportedMediaType,
        StatusCodes.Status429TooManyRequests => ProblemTypes.TooManyRequests,
        StatusCodes.Status502BadGateway or StatusCodes.Status503ServiceUnavailable or StatusCodes.Status504GatewayTimeout => ProblemTypes.Unavailable,
        >= 500 => ProblemTypes.Internal,
        _ => ProblemTypes.Invalid,
    };

    private static IResult FromStatus(HttpContext context)
    {
        var status = context.Response.StatusCode;
        return Of(TypeOf(status), status, status switch
        {
            StatusCodes.Status404NotFound => $"no such address: {context.Request.Path}",
            StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not offered here; the Allow header lists what is",
            StatusCodes.Status413PayloadTooLarge => TooLarge,
            StatusCodes.Status415UnsupportedMediaType => $"'{context.Request.ContentType}' is not taken here; send application/json",
            _ => Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status),
        });
    }

    // The serializer wraps what its reader says: then the text is no JSON at all, else it is JSON of another shape.
    private static IResult FromJson(JsonException json) => Of(
        json.InnerException is JsonException ? ProblemTypes.Malformed : ProblemTypes.Invalid, StatusCodes.Status400BadRequest, json.Message);

    private static IResult FromBadRequest(BadHttpRequestException bad) => (bad.StatusCode, bad.InnerException) switch
    {
        (StatusCodes.Status400BadRequest, JsonException json) => FromJson(json),
        (StatusCodes.Status413PayloadTooLarge, _) => Of(ProblemTypes.TooLarge, bad.StatusCode, TooLarge),
        (StatusCodes.Status408RequestTimeout, _) => Of(ProblemTypes.RequestTimeout, bad.StatusCode, bad.Message),
        _ => Of(TypeOf(bad.StatusCode), bad.StatusCode, bad.Message),
    };

    private static IResult FromException(Exception error, ILoggerFactory loggers)
    {
        switch (error)
        {
            case BadHttpRequestException bad:
                return FromBadRequest(bad);
            case JsonException json:
                return FromJson(json);
            case InferenceException inference:
                var (type, status) = inference.Error switch
                {
                    InferenceError.ModelNotFound => (ProblemTypes.NotFound, StatusCodes.Status404NotFound),
                    InferenceError.VerificationFailed => (ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity),
                    InferenceError.InvalidRequest or InferenceError.PromptTooLong or InferenceError.NotSupported => (ProblemTypes.Invalid, StatusCodes.Status400BadRequest),
                    InferenceError.Busy => (ProblemTypes.TooManyRequests, StatusCodes.Status429TooManyRequests),
                    _ => (ProblemTypes.Unavailable, StatusCodes.Status503ServiceUnavailable),
                };
                return Of(type, status, inference.Message);
            default:
                Log.Unexpected(loggers.CreateLogger("ModelOps.Server.Problems"), error);
                return Of(ProblemTypes.Internal, StatusCodes.Status500InternalServerError, "an unexpected error; the server's log has it");
        }
    }

    private static string Title(string type) => type switch
    {
        ProblemTypes.Invalid => "The request is not valid",
        ProblemTypes.Malformed => "The body is malformed",
        ProblemTypes.TooLarge => "The body is too large",
        ProblemTypes.UnsupportedMediaType => "The media type is not taken",
        ProblemTypes.MethodNotAllowed => "The method is not offered",
        ProblemTypes.RequestTimeout => "The request came too slowly",
        ProblemTypes.TooManyRequests => "Too many requests",
        ProblemTypes.QuotaExceeded => "Quota exceeded",
        ProblemTypes.NotFound => "Not found",
        ProblemTypes.Unauthorized => "Not signed in",
        ProblemTypes.Forbidden => "Not allowed",
        ProblemTypes.Conflict => "Conflict",
        ProblemTypes.VerificationFailed => "Verification failed",
        ProblemTypes.GatesNotMet => "Gates not met",
        ProblemTypes.Unavailable => "Not available now",
        _ => "Unexpected error",
    };

    private sealed class ProblemResult(Problem problem) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = problem.Status;
            httpContext.RequestServices.GetRequiredService<ServerMetrics>().Problem(problem.Type, problem.Status);
            return httpContext.Request.Path.StartsWithSegments("/v1")
                ? httpContext.Response.WriteAsJsonAsync(OpenAI.OpenAIError.From(problem), OpenAIJson.Default.OpenAIErrorEnvelope)
                : httpContext.Response.WriteAsJsonAsync(problem, WireJson.Default.Problem, "application/problem+json");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "unexpected error in a request")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
