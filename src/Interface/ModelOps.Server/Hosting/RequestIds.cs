using System.Collections;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.Features;
using ModelOps.Server.Workflows;

namespace ModelOps.Server.Hosting;

/// <summary>
/// Every answer carries <c>x-request-id</c>: the caller's if it is 1 to 128 letters, digits, '.', '_' or '-', else one of ours. Every log
/// line of the request has it, with the principal's name once that is known. A request's end is logged; that of a health check, and of a worker's
/// polls and heartbeats, only for debugging.
/// </summary>
public static partial class RequestIds
{
    public const string Header = "x-request-id";
    private const int Longest = 128;

    private static readonly PathString[] routine = ["/healthz", "/readyz", "/metrics", "/api/v1/workers/spans"];

    public static void UseRequestIds(this WebApplication app)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("ModelOps.Server.Requests");
        app.Use(async (context, next) =>
        {
            var given = context.Request.Headers[Header].ToString();
            context.TraceIdentifier = IsWellFormed(given) ? given : $"req_{RandomNumberGenerator.GetHexString(24, lowercase: true)}";
            context.Response.Headers[Header] = context.TraceIdentifier;
            context.Response.OnStarting(() =>
            {
                context.Response.Headers[Header] = context.TraceIdentifier; // an error's handler clears the headers
                return Task.CompletedTask;
            });
            var scope = new RequestScope(context.TraceIdentifier);
            context.Features.Set(scope);
            using (logger.BeginScope(scope))
            {
                var started = time.GetTimestamp();
                try
                {
                    await next(context);
                }
                finally
                {
                    var level = IsRoutine(context.Request.Path) ? LogLevel.Debug : LogLevel.Information;
                    if (logger.IsEnabled(level))
                    {
                        var milliseconds = time.GetElapsedTime(started).TotalMilliseconds;
                        var path = context.Request.Path.Value ?? "";
                        Log.Answered(logger, level, context.Request.Method, path, context.Response.StatusCode, milliseconds);
                    }
                }
            }
        });
    }

    /// <summary>From here on the request's log lines name the principal.</summary>
    public static void UsePrincipalInLogs(this WebApplication app) => app.Use((context, next) =>
    {
        if (context.User.Identity is { IsAuthenticated: true, Name: { } name }) context.Features.GetRequiredFeature<RequestScope>().Principal = name;
        return next(context);
    });

    private static bool IsRoutine(PathString path) => Array.Exists(routine, known => path == known) || path.StartsWithSegments(WorkflowGateway.Service, StringComparison.Ordinal);

    private static bool IsWellFormed(string id) =>
        id.Length is > 0 and <= Longest && id.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-');

    /// <summary>Holds its values itself: a line may be read after the request, and its context, have ended.</summary>
    private sealed class RequestScope(string id) : IReadOnlyList<KeyValuePair<string, object?>>
    {
        /// <summary>Null until it is known.</summary>
        public string? Principal { get; set; }

        public int Count => Principal is null ? 1 : 2;

        public KeyValuePair<string, object?> this[int index] => index switch
        {
            0 => new("request_id", id),
            1 when Principal is { } principal => new("principal", principal),
            _ => throw new ArgumentOutOfRangeException(nameof(index)),
        };

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
        {
            yield return new("request_id", id);
            if (Principal is { } principal) yield return new("principal", principal);
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Message = "{Method} {Path} answered {StatusCode} in {Milliseconds:F1} ms")]
        public static partial void Answered(ILogger logger, LogLevel level, string method, string path, int statusCode, double milliseconds);
    }
}
