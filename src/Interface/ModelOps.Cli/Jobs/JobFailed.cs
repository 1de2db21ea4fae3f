using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

internal static class JobFailed
{
    // The type that jobs give to a refused artifact; it has its own exit code.
    private const string VerificationFailed = "verification_failed";

    /// <summary>The failure of a job that did not succeed: the job's own words.</summary>
    public static ModelOpsException Of(Job job) => job.State == JobState.Canceled
        ? CliProblems.Exception(CliProblems.JobFailed, "Job canceled", $"Job {job.Id} ({job.Kind}) was canceled.")
        : CliProblems.Exception(
            job.Error?.Type == VerificationFailed ? ProblemTypes.VerificationFailed : CliProblems.JobFailed, "Job failed",
            $"Job {job.Id} ({job.Kind}) failed: {job.Error?.Message ?? "the server gave no reason; see its log."}");
}
