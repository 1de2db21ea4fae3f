using System.Globalization;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

public static class AuditEndpoints
{
    private const int mostRows = 1000;
    private const int defaultRows = 100;

    public static void MapAudit(this IEndpointRouteBuilder api)
    {
        var audit = api.MapGroup("/audit").WithTags("audit");
        audit.MapGet("/", ListAsync)
            .WithName("listAudit").WithSummary("Lists who did what, newest first.").Produces<Page<AuditEntry>>();
        audit.MapGet("/verification", VerifyAsync)
            .WithName("verifyAudit").WithSummary("Checks the chain of hashes and names the first edited or missing row.").Produces<AuditReport>();
    }

    /// <summary>Newest first. The next page is what lies <paramref name="before"/> the sequence of the last row of this one.</summary>
    private static async Task<IResult> ListAsync(
        AuditLog log, string? actor, string? action, string? subject, DateTimeOffset? since, long? before, int? limit, CancellationToken cancellationToken)
    {
        var rowLimit = limit ?? defaultRows;
        if (rowLimit is < 1 or > mostRows) return Problems.Invalid($"limit must be from 1 to {mostRows}, not {rowLimit}");
        var rows = await log.ListAsync(
            new AuditQuery(rowLimit, before) { Actor = actor, Action = action, Subject = subject, Since = since }, cancellationToken);
        return Results.Ok(new Page<AuditEntry>([.. rows.Select(ToWire)]));
    }

    private static async Task<IResult> VerifyAsync(AuditLog log, string? head, CancellationToken cancellationToken)
    {
        AuditHead? noted = null;
        if (head is not null && !TryParse(head, out noted)) return Problems.Invalid($"head must be N:HASH as an earlier verification gave it, not '{head}'");
        return Results.Ok(await log.VerifyAsync(noted, cancellationToken) switch
        {
            AuditVerification.Intact intact => new AuditReport(Intact: true, Fault: null, $"{intact.Head.Sequence}:{intact.Head.Hash}"),
            AuditVerification.Broken broken => new AuditReport(Intact: false, broken.Fault, Head: null),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        });
    }

    private static bool TryParse(string text, out AuditHead? head)
    {
        head = text.Split(':') is [var number, { Length: 64 } hash] && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            ? new AuditHead(sequence, hash)
            : null;
        return head is not null;
    }

    private static AuditEntry ToWire(AuditRow row) => new()
    {
        Sequence = row.Sequence,
        At = row.At,
        Actor = row.Actor,
        Action = row.Action,
        Subject = row.Subject,
        Detail = JsonElement.Parse(row.Detail),
        Hash = row.Hash,
    };
}
