using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

internal static class JobsCommand
{
    private const int DefaultRows = 50;
    private const int DefaultSampledSteps = 20;

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "jobs", "Ingestion, training, quantization and evaluation in progress and done.",
        [
            List(cli),
            Show(cli),
            Watch(cli),
            LogsCommand.Create(cli, Id()),
            Samples(cli),
            Ask(cli, "pause", "Stops a job's work until it is resumed.", (jobs, id, cancellationToken) => jobs.PauseAsync(id, cancellationToken)),
            Ask(cli, "resume", "Lets a paused job go on.", (jobs, id, cancellationToken) => jobs.ResumeAsync(id, cancellationToken)),
            Ask(cli, "cancel", "Stops a job for good.", (jobs, id, cancellationToken) => jobs.CancelAsync(id, cancellationToken)),
            Ask(cli, "retry", "Runs a failed or canceled job again.", (jobs, id, cancellationToken) => jobs.RetryAsync(id, cancellationToken)),
        ]);

    private static Command List(CommandFactory cli)
    {
        var state = new Option<string[]>("--state") { Description = "Only those in this state; may be repeated", HelpName = "STATE" }
            .AcceptOnlyFromAmong([.. Enum.GetValues<JobState>().Select(JobViews.NameOf)]);
        var kind = new Option<string?>("--kind") { Description = "Only those of this kind, like sft", HelpName = "KIND" };
        var limit = new Option<int?>("--limit") { Description = $"At most so many [default: {DefaultRows}]", HelpName = "N" };
        var all = new Option<bool>("--all") { Description = "All of them, however many there are" };
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--limit must be at least 1.");
            }
            if (result.GetResult(all) is { Implicit: false })
            {
                result.AddError("--limit and --all exclude each other.");
            }
        });
        return cli.Command(
            "list", "Lists jobs, newest first.",
            ["modelops jobs list", "modelops jobs list --state queued --state running --kind sft"], [state, kind, limit, all],
            async (invocation, cancellationToken) =>
            {
                var filter = new JobFilter
                {
                    States = [.. (invocation.Get(state) ?? []).Select(name => Enum.Parse<JobState>(name, ignoreCase: true))],
                    Kind = invocation.Get(kind),
                };
                var most = invocation.Get(all) ? int.MaxValue : invocation.Get(limit) ?? DefaultRows;
                var jobs = await invocation.Client.Jobs.ListAsync(filter, cancellationToken).Take(most).ToListAsync(cancellationToken);
                invocation.Write(new Page<Job>(jobs), JsonOutput.Wire.PageJob, _ => JobViews.List(invocation, jobs));
                return ExitCodes.Done;
            });
    }

    private static Command Show(CommandFactory cli)
    {
        var id = Id();
        var trace = new Option<bool>("--trace") { Description = "All that happened for it instead, from the command to its last step, with times" };
        return cli.Command(
            "show", "Shows a job's input, progress and result.", ["modelops jobs show JOB", "modelops jobs show JOB --trace"], [id, trace],
            async (invocation, cancellationToken) =>
            {
                if (invocation.Get(trace))
                {
                    var spans = await invocation.Client.Jobs.GetTraceAsync(invocation.Get(id), cancellationToken);
                    invocation.Write(spans, JsonOutput.Wire.JobTrace, _ => TraceView.Show(invocation, spans));
                    return ExitCodes.Done;
                }
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

    private static Command Samples(CommandFactory cli)
    {
        var id = Id();
        var steps = new Option<int>("--steps") { Description = "Of so many steps at most, the last of them, from 1 to 100", HelpName = "N", DefaultValueFactory = _ => DefaultSampledSteps };
        return cli.Command(
            "samples", "Shows what the model made of a few prompts while it was trained (samples in the recipe).",
            ["modelops jobs samples JOB", "modelops jobs samples JOB --steps 1"], [id, steps],
            async (invocation, cancellationToken) =>
            {
                var samples = await invocation.Client.Jobs.GetSamplesAsync(invocation.Get(id), steps: invocation.Get(steps), cancellationToken: cancellationToken);
                invocation.Write(new Page<JobSample>(samples), JsonOutput.Wire.PageJobSample, _ => JobViews.Show(invocation, samples));
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
