using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Registry;
using ModelOps.Server.Ollama;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Telemetry;
using ModelOps.Storage;

namespace ModelOps.Server;

/// <summary>Every refusal, in the shape of the surface that was asked: RFC 9457 under /api/v1, OpenAI's error object under /v1, Ollama's beside them.</summary>
public static partial class Problems
{
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(1); // a slot is mostly free again by then

    private const string TooLarge = "the body is larger than limits:request_bytes allows; files go to /api/v1/blobs, which has no limit";

    public static IResult NotFound(string detail) => Of(ProblemTypes.NotFound, StatusCodes.Status404NotFound, detail);

    public static IResult Conflict(string detail) => Of(ProblemTypes.Conflict, StatusCodes.Status409Conflict, detail);

    public static IResult Unauthorized(string detail) => Of(ProblemTypes.Unauthorized, StatusCodes.Status401Unauthorized, detail);

    /// <param name="errors">Every fault found, each saying what, where and what to do.</param>
    public static IResult Invalid(params IReadOnlyList<string> errors) =>
        Of(ProblemTypes.Invalid, StatusCodes.Status400BadRequest, errors.Count == 1 ? errors[0] : $"{errors.Count} faults", errors);

    internal static IResult Invalid(Faults faults) => Refusal(faults);

    internal static ProblemResult Refusal(Faults faults) => new(
        Describe(
            ProblemTypes.Invalid, StatusCodes.Status400BadRequest, faults.Messages.Count == 1 ? faults.Messages[0] : $"{faults.Messages.Count} faults", faults.Messages),
        faults.Param);

    public static IResult VerificationFailed(string detail) =>
        Of(ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity, detail);

    public static IResult Of(string type, int status, string detail, IReadOnlyList<string>? errors = null) => Refusal(type, status, detail, errors);

    internal static ProblemResult Refusal(string type, int status, string detail, IReadOnlyList<string>? errors = null) => new(Describe(type, status, detail, errors));

    /// <summary>What an exception means to a caller; what nobody expected is logged.</summary>
    internal static ProblemResult From(Exception error, IServiceProvider services)
    {
        switch (error)
        {
            case BadHttpRequestException bad:
                return FromBadRequest(bad);
            case JsonException json:
                return FromJson(json);
            case InferenceException inference:
                return FromInference(inference);
        }
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("ModelOps.Server.Problems");
        if (FromMachine(error, services) is { } problem)
        {
            Log.OfMachine(logger, problem.Problem.Detail!);
            return problem;
        }
        Log.Unexpected(logger, error);
        return new(Describe(ProblemTypes.Internal, StatusCodes.Status500InternalServerError, "an unexpected error; the server's log has it"));
    }

    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler(handler => handler.Run(context =>
        {
            var error = context.Features.Get<IExceptionHandlerFeature>()!.Error;
            if (context.RequestAborted.IsCancellationRequested) return Task.CompletedTask;
            return From(error, context.RequestServices).ExecuteAsync(context);
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
        StatusCodes.Status507InsufficientStorage => ProblemTypes.InsufficientStorage,
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
    private static ProblemResult FromJson(JsonException json) => new(
        Describe(json.InnerException is JsonException ? ProblemTypes.Malformed : ProblemTypes.Invalid, StatusCodes.Status400BadRequest, json.Message),
        json.Path?.TrimStart('$').TrimStart('.') is { Length: > 0 } path ? path : null);

    private static ProblemResult FromBadRequest(BadHttpRequestException bad) => (bad.StatusCode, bad.InnerException) switch
    {
        (StatusCodes.Status400BadRequest, JsonException json) => FromJson(json),
        (StatusCodes.Status413PayloadTooLarge, _) => new(Describe(ProblemTypes.TooLarge, bad.StatusCode, TooLarge)),
        (StatusCodes.Status408RequestTimeout, _) => new(Describe(ProblemTypes.RequestTimeout, bad.StatusCode, bad.Message)),
        _ => new(Describe(TypeOf(bad.StatusCode), bad.StatusCode, bad.Message)),
    };

    private static ProblemResult FromInference(InferenceException error)
    {
        var (type, status, param, code) = error.Error switch
        {
            InferenceError.ModelNotFound => (ProblemTypes.NotFound, StatusCodes.Status404NotFound, "model", "model_not_found"),
            InferenceError.VerificationFailed => (ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity, "model", "verification_failed"),
            InferenceError.PromptTooLong => (ProblemTypes.Invalid, StatusCodes.Status400BadRequest, "messages", "context_length_exceeded"),
            InferenceError.NotSupported => (ProblemTypes.Invalid, StatusCodes.Status400BadRequest, null, "unsupported"),
            InferenceError.InvalidRequest => (ProblemTypes.Invalid, StatusCodes.Status400BadRequest, (string?)null, (string?)null),
            InferenceError.Busy => (ProblemTypes.TooManyRequests, StatusCodes.Status429TooManyRequests, null, null),
            _ => (ProblemTypes.Unavailable, StatusCodes.Status503ServiceUnavailable, null, null),
        };
        var retryAfter = error.Error == InferenceError.Busy ? error.RetryAfter ?? pause : error.RetryAfter;
        return new(Describe(type, status, error.Message), param, code) { RetryAfter = retryAfter };
    }

    private static Problem Describe(string type, int status, string detail, IReadOnlyList<string>? errors = null) =>
        new() { Type = type, Title = Title(type), Status = status, Detail = detail, Errors = errors ?? [] };

    /// <summary>What the machine or a service lacks, which the same request does not meet once that is mended.</summary>
    private static ProblemResult? FromMachine(Exception error, IServiceProvider services) => error switch
    {
        ObjectStoreException => Away($"the object store does not answer: {error.Message}"),
        _ when DiskSpace.IsShort(error) => Full(error.Message),
        _ => services.GetRequiredService<MetadataDatabase>().FaultOf(error) switch
        {
            null => null,
            { DiskFull: true } fault => Full($"the metadata database cannot be written: {fault.Message}"),
            var fault => Away($"the metadata database does not answer: {fault.Message}"),
        },
    };

    private static ProblemResult Away(string what) =>
        new(Describe(ProblemTypes.Unavailable, StatusCodes.Status503ServiceUnavailable, $"{what}; try again when it does")) { RetryAfter = pause };

    private static ProblemResult Full(string what) => new(
        Describe(ProblemTypes.InsufficientStorage, StatusCodes.Status507InsufficientStorage, $"{what}; nothing was stored: free space on the server's disk and try again"));

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
        ProblemTypes.InsufficientStorage => "No space left",
        _ => "Unexpected error",
    };

    /// <param name="Param">Where in the request the fault is, for OpenAI's clients.</param>
    /// <param name="Code">OpenAI's, where it is more precise than the type.</param>
    internal sealed record ProblemResult(Problem Problem, string? Param = null, string? Code = null) : IResult
    {
        public TimeSpan? RetryAfter { get; init; }

        public OpenAIErrorEnvelope ToOpenAI() => OpenAI.OpenAIError.From(Problem, Param, Code);

        public Task ExecuteAsync(HttpContext httpContext)
        {
            var (request, response) = (httpContext.Request, httpContext.Response);
            response.StatusCode = Problem.Status;
            if (RetryAfter is { } wait) response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            httpContext.RequestServices.GetRequiredService<ServerMetrics>().Problem(Problem.Type, Problem.Status);
            if (request.Path.StartsWithSegments("/v1")) return response.WriteAsJsonAsync(ToOpenAI(), OpenAIJson.Default.OpenAIErrorEnvelope);
            if (OllamaEndpoints.Owns(request.Path)) return response.WriteAsJsonAsync(new OllamaError(ToOpenAI().Error.Message), OllamaJson.Default.OllamaError);
            return response.WriteAsJsonAsync(Problem, WireJson.Default.Problem, "application/problem+json");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "unexpected error in a request")]
        public static partial void Unexpected(ILogger logger, Exception exception);

        [LoggerMessage(2, LogLevel.Error, "a request was refused: {Reason}")]
        public static partial void OfMachine(ILogger logger, string reason);
    }
}
