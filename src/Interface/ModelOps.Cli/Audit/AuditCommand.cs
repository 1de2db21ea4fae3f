using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Audit;

internal static class AuditCommand
{
    private const int defaultRows = 100;

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "audit", "Who did what, and the proof that nobody changed the record.", [List(cli), Verify(cli)]);

    private static Command List(CommandFactory cli)
    {
        var actor = new Option<string?>("--actor") { Description = "Only what this user did", HelpName = "NAME" };
        var action = new Option<string?>("--action") { Description = "Only this action, like user.signed_in", HelpName = "ACTION" };
        var subject = new Option<string?>("--subject") { Description = "Only what was done to this, like a job or name@version", HelpName = "SUBJECT" };
        var since = new Option<DateTimeOffset?>("--since") { Description = "Only from this time on, like 2026-01-31 or 2026-01-31T12:00Z", HelpName = "TIME" };
        var limit = new Option<int?>("--limit") { Description = $"At most so many rows [default: {defaultRows}]", HelpName = "N" };
        return cli.Command(
            "list", "Lists the audit log, newest first.",
            ["modelops audit list", "modelops audit list --actor ada --since 2026-01-31"],
            [actor, action, subject, since, limit],
            async (invocation, cancellationToken) =>
            {
                var filter = new AuditFilter
                {
                    Actor = invocation.Get(actor),
                    Action = invocation.Get(action),
                    Subject = invocation.Get(subject),
                    Since = invocation.Get(since),
                };
                var rows = await invocation.Client.Audit.ListAsync(filter, cancellationToken)
                    .Take(invocation.Get(limit) ?? defaultRows).ToListAsync(cancellationToken);
                invocation.Write(new Page<AuditEntry>(rows), JsonOutput.Wire.PageAuditEntry, _ => Show(invocation, rows));
                return ExitCodes.Done;
            });
    }

    private static Command Verify(CommandFactory cli)
    {
        var head = new Option<string?>("--head")
        {
            Description = "A head that an earlier verification printed: finds rows cut off the end too",
            HelpName = "N:HASH",
        };
        return cli.Command(
            "verify", "Finds an edited or missing row of the audit log.",
            ["modelops audit verify", "modelops audit verify --json"], [head],
            async (invocation, cancellationToken) =>
            {
                var report = await invocation.Client.Audit.VerifyAsync(invocation.Get(head), cancellationToken);
                if (!report.Intact && !invocation.Json)
                {
                    throw CliProblems.Exception(ProblemTypes.VerificationFailed, "Verification failed", $"The audit log was tampered with: {report.Fault}");
                }
                invocation.Write(report, JsonOutput.Wire.AuditReport, screen =>
                {
                    screen.WriteLine("The audit log is intact.");
                    screen.WriteLine($"Head: {report.Head}");
                    screen.WriteLine("Note the head elsewhere; 'modelops audit verify --head N:HASH' then finds rows cut off the end too.");
                });
                return report.Intact ? ExitCodes.Done : ExitCodes.VerificationFailed;
            });
    }

    private static void Show(Invocation invocation, IReadOnlyList<AuditEntry> rows)
    {
        var table = invocation.Table("#", "at", "actor", "action", "subject", "detail");
        foreach (var row in rows)
        {
            table.AddTextRow($"{row.Sequence}", Human.Time(row.At), row.Actor, row.Action, row.Subject, row.Detail.GetRawText());
        }
        invocation.Screen.Write(table);
    }
}
