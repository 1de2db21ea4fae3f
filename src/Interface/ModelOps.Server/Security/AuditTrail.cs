using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>
/// Audits what requests changed, by the action that <see cref="Access"/> gives their endpoint, before the answer leaves: what was
/// acknowledged is audited. Reads and inference are not.
/// </summary>
public sealed class AuditTrail(AuditLog log)
{
    private static readonly object subjectKey = new();

    /// <summary>What the request is about, where neither its Location nor its route says it.</summary>
    public static void SetSubject(HttpContext context, string subject) => context.Items[subjectKey] = subject;

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (AccessPolicy.RuleOf(context)?.Audit is { } action)
            context.Response.OnStarting(() => OutcomeAsync(context, action));
        return next(context);
    }

    public Task DeniedAsync(HttpContext context, string reason) =>
        AppendAsync(context, "access.denied", context.Request.Path, ("method", context.Request.Method), ("reason", reason));

    public Task AppendAsync(HttpContext context, string action, string subject, params ReadOnlySpan<(string Name, string? Value)> detail) =>
        AppendAsync(context.User.Identity?.Name ?? "anonymous", context, action, subject, detail);

    private Task OutcomeAsync(HttpContext context, string action) => context.Response.StatusCode switch
    {
        >= 200 and < 300 => AppendAsync(context, action, SubjectOf(context), ("path", context.Request.Path)),
        // The only 422 that endpoints give: what was asked for does not verify.
        StatusCodes.Status422UnprocessableEntity => AppendAsync(
            context, $"{action[..action.IndexOf('.', StringComparison.Ordinal)]}.refused", SubjectOf(context), ("path", context.Request.Path)),
        _ => Task.CompletedTask,
    };

    private Task AppendAsync(
        string actor, HttpContext context, string action, string subject, ReadOnlySpan<(string Name, string? Value)> members)
    {
        var detail = new JsonObject { ["address"] = context.Connection.RemoteIpAddress?.ToString() };
        if (context.User.AsPrincipal()?.KeyId is { } key) detail["key"] = key;
        foreach (var (name, value) in members) detail[name] = value;
        // Not the request's token: a client that hangs up must not undo the record of what it did.
        return log.AppendAsync(actor, action, subject, JsonElement.Parse(detail.ToJsonString()), CancellationToken.None);
    }

    private static string SubjectOf(HttpContext context)
    {
        if (context.Items[subjectKey] is string subject) return subject;
        if (context.Response.Headers.Location is [{ } location]) return Uri.UnescapeDataString(location[(location.LastIndexOf('/') + 1)..]);
        return context.Request.RouteValues.Values.OfType<string>().FirstOrDefault() ?? context.Request.Path;
    }
}
