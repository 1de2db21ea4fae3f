using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

internal static class JobsCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "jobs", "Ingestion, training and quantization in progress and done.",
        [
            List(cli),
            Show(cli),
            Watch(cli),
            Ask(cli, "pause", "Stops a job's work until it is resumed.", (jobs, id, cancellationToken) => jobs.PauseAsync(id, cancellationToken)),
            Ask(cli, "resume", "Lets a paused job go on.", (jobs, id, cancellationToken) => jobs.ResumeAsync(id, cancellationToken)),
            Ask(cli, "cancel", "Stops a job for good.", (jobs, id, cancellationToken) => jobs.CancelAsync(id, cancellationToken)),
            Ask(cli, "retry", "Runs a failed or canceled job again.", (jobs, id, cancellationToken) => jobs.RetryAsync(id, cancellationToken)),
        ]);

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists jobs, newest first.", ["modelops jobs list"], [],
        async (invocation, cancellationToken) =>
        {
            var jobs = await invocation.Client.Jobs.ListAsync(cancellationToken);
            invocation.Write(new Page<Job>(jobs), JsonOutput.Wire.PageJob, _ => JobViews.List(invocation, jobs));
            return ExitCodes.Done;
        });

    private static Command Show(CommandFactory cli)
    {
        var id = Id();
        return cli.Command(
            "show", "Shows a job's input, progress and result.", ["modelops jobs show JOB"], [id],
            async (invocation, cancellationToken) =>
            {
                var job = await invocation.Client.Jobs.GetAsync(invocation.Get(id), cancellationToken);
                invocation.Write(job, JsonOutput.Wire.Job, _ => JobViews.Show(invocation, job));
                return ExitCodes.Done;
            });
    }

    private static Command Watch(CommandFactory cli)
    {
        var id = Id();
        return cli.Command(
            "watch", "Follows a job to its end; Ctrl-C leaves it running.", ["modelops jobs watch JOB"], [id],
            async (invocation, cancellationToken) =>
            {
                var job = await invocation.Client.Jobs.GetAsync(invocation.Get(id), cancellationToken);
                job = await JobWatch.ToEndAsync(invocation, invocation.Client, job, $"{job.Kind} {job.Id}", cancellationToken);
                invocation.Write(job, JsonOutput.Wire.Job, _ => JobViews.ShowResult(invocation, job));
                return ExitCodes.Done;
            });
    }

    /// <summary>A command that asks something of a job, and shows what the job then says.</summary>
    private static Command Ask(
        CommandFactory cli, string name, string description, Func<JobsClient, string, CancellationToken, Task<Job>> ask)
    {
        var id = Id();
        return cli.Command(
            name, description, [$"modelops jobs {name} JOB"], [id],
            async (invocation, cancellationToken) =>
            {
                var job = await ask(invocation.Client.Jobs, invocation.Get(id), cancellationToken);
                invocation.Write(job, JsonOutput.Wire.Job, _ => JobViews.Show(invocation, job));
                return ExitCodes.Done;
            });
    }

    private static Argument<string> Id() => new("job") { Description = "Id of the job, as 'modelops jobs list' prints it" };
}
