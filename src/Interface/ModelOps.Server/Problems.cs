using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.OpenAI;

namespace ModelOps.Server;

/// <summary>Every refusal, in the shape of the surface that was asked: RFC 9457 under /api/v1, OpenAI's error object under /v1.</summary>
public static partial class Problems
{
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
        app.UseStatusCodePages(pages => pages.HttpContext.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => NotFound($"no such address: {pages.HttpContext.Request.Path}").ExecuteAsync(pages.HttpContext),
            StatusCodes.Status405MethodNotAllowed =>
                Of(ProblemTypes.Invalid, StatusCodes.Status405MethodNotAllowed, $"{pages.HttpContext.Request.Method} is not offered here")
                    .ExecuteAsync(pages.HttpContext),
            _ => Task.CompletedTask,
        });
    }

    private static IResult FromException(Exception error, ILoggerFactory loggers)
    {
        switch (error)
        {
            case BadHttpRequestException bad:
                return Of(ProblemTypes.Invalid, bad.StatusCode, (bad.InnerException as JsonException)?.Message ?? bad.Message);
            case InferenceException inference:
                var (type, status) = inference.Error switch
                {
                    InferenceError.ModelNotFound => (ProblemTypes.NotFound, StatusCodes.Status404NotFound),
                    InferenceError.VerificationFailed => (ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity),
                    InferenceError.InvalidRequest => (ProblemTypes.Invalid, StatusCodes.Status400BadRequest),
                    InferenceError.Busy => (ProblemTypes.Unavailable, StatusCodes.Status429TooManyRequests),
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
        ProblemTypes.NotFound => "Not found",
        ProblemTypes.Unauthorized => "Not signed in",
        ProblemTypes.Forbidden => "Not allowed",
        ProblemTypes.Conflict => "Conflict",
        ProblemTypes.VerificationFailed => "Verification failed",
        ProblemTypes.RateLimited => "Too many requests",
        ProblemTypes.GatesNotMet => "Gates not met",
        ProblemTypes.Unavailable => "Not available now",
        _ => "Unexpected error",
    };

    private sealed class ProblemResult(Problem problem) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = problem.Status;
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
