using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

internal static class LogsCommand
{
    public static Command Create(CommandFactory cli, Argument<string> id)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with new lines until the job ends; Ctrl-C leaves it running" };
        var level = new Option<string?>("--level") { Description = "Only lines of this level or worse", HelpName = "LEVEL" }
            .AcceptOnlyFromAmong([.. Enum.GetValues<JobLogLevel>().Select(JobViews.NameOf)]);
        var tail = new Option<int?>("--tail") { Description = "Only the last N lines that are there [default: all]", HelpName = "N" };
        tail.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--tail must be at least 1.");
            }
        });
        var trace = new Option<string?>("--trace") { Description = "Only lines of the trace with that id, such as one run of a job that ran twice", HelpName = "ID" };
        return cli.Command(
            "logs", "Prints what workers logged for a job.",
            ["modelops jobs logs JOB", "modelops jobs logs JOB --follow --tail 20", "modelops jobs logs JOB --level warning"], [id, follow, level, tail, trace],
            async (invocation, cancellationToken) =>
            {
                var least = invocation.Get(level) is { } name ? Enum.Parse<JobLogLevel>(name, ignoreCase: true) : JobLogLevel.Trace;
                var lines = ReadAsync(invocation.Client.Jobs, invocation.Get(id), least, invocation.Get(trace), invocation.Get(tail), invocation.Get(follow), cancellationToken);
                if (invocation.Json)
                {
                    invocation.Write(new Page<JobLogEntry>(await lines.ToListAsync(cancellationToken)), JsonOutput.Wire.PageJobLogEntry, _ => { });
                    return ExitCodes.Done;
                }
                try
                {
                    await foreach (var line in lines)
                    {
                        LogView.Write(invocation, line);
                    }
                    return ExitCodes.Done;
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    return ExitCodes.Canceled; // how following ends: nothing to say
                }
            });
    }

    private static async IAsyncEnumerable<JobLogEntry> ReadAsync(
        JobsClient jobs, string id, JobLogLevel level, string? trace, int? tail, bool follow,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = 0L;
        if (tail is { } count)
        {
            foreach (var line in await jobs.LogTailAsync(id, count, level, trace, cancellationToken))
            {
                yield return line;
                last = line.Sequence;
            }
            if (!follow)
            {
                yield break;
            }
        }
        var rest = follow ? jobs.FollowLogAsync(id, level, last, trace, cancellationToken) : jobs.LogAsync(id, level, last, trace, cancellationToken);
        await foreach (var line in rest)
        {
            yield return line;
        }
    }
}
