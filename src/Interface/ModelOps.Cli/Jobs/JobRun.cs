using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

/// <summary>Commands that start a job and, when asked, follow it.</summary>
internal static class JobRun
{
    public static Option<bool> WatchOption() => new("--watch")
    {
        Description = "Follow the job to its end; Ctrl-C leaves it running",
    };

    public static Option<string> PriorityOption() => new Option<string>("--priority")
    {
        Description = "Of jobs that wait for the same kind of worker, which begins first",
        HelpName = "PRIORITY",
        DefaultValueFactory = _ => JobViews.NameOf(JobPriority.Normal),
    }.AcceptOnlyFromAmong([.. Enum.GetValues<JobPriority>().Select(JobViews.NameOf)]);

    public static JobPriority PriorityOf(Invocation invocation, Option<string> priority) => Enum.Parse<JobPriority>(invocation.Get(priority)!, ignoreCase: true);

    public static async Task<int> StartAsync(
        Invocation invocation, Func<ModelOpsClient, Task<Job>> start, string title, bool watch, CancellationToken cancellationToken, Action<Job>? ended = null)
    {
        var job = await start(invocation.Client);
        if (watch)
        {
            job = await JobWatch.ToEndAsync(invocation, invocation.Client, job, title, cancellationToken);
            ended?.Invoke(job);
        }
        invocation.Write(job, JsonOutput.Wire.Job, screen =>
        {
            if (watch)
            {
                JobViews.ShowResult(invocation, job);
                return;
            }
            screen.Profile.Out.Writer.WriteLine($"Job {job.Id} started. Watch it: modelops jobs watch {job.Id}");
        });
        return ExitCodes.Done;
    }
}
