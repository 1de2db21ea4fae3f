using System.Collections;
using System.Security.Cryptography;

namespace ModelOps.Server.Hosting;

/// <summary>
/// Every answer carries <c>x-request-id</c>: the caller's if it is 1 to 128 letters, digits, '.', '_' or '-', else one of ours. Every log
/// line of the request has it, with the principal's name once that is known.
/// </summary>
public static class RequestIds
{
    public const string Header = "x-request-id";
    private const int Longest = 128;

    public static void UseRequestIds(this WebApplication app)
    {
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
            using (logger.BeginScope(new RequestScope(context))) await next(context);
        });
    }

    private static bool IsWellFormed(string id) =>
        id.Length is > 0 and <= Longest && id.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-');

    /// <summary>Read when a line is logged: the principal is not known when the request begins.</summary>
    private sealed class RequestScope(HttpContext context) : IReadOnlyList<KeyValuePair<string, object?>>
    {
        private readonly string id = context.TraceIdentifier;

        public int Count => Principal is null ? 1 : 2;

        public KeyValuePair<string, object?> this[int index] => index switch
        {
            0 => new("request_id", id),
            1 when Principal is { } principal => new("principal", principal),
            _ => throw new ArgumentOutOfRangeException(nameof(index)),
        };

        private string? Principal => context.User.Identity is { IsAuthenticated: true, Name: { } name } ? name : null;

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
        {
            yield return new("request_id", id);
            if (Principal is { } principal) yield return new("principal", principal);
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
