using System.Globalization;

namespace ModelOps.Server.FineTuning;

/// <summary>The ids of OpenAI's API and the jobs that they stand for: the same digits.</summary>
internal static class FineTuningIds
{
    private const string Job = "job-";
    private const string FineTuningJob = "ftjob-";
    private const string Event = "ftevent-";
    private const string Checkpoint = "ftckpt-";

    public static string OfJob(string job) => FineTuningJob + Digits(job);

    public static string OfEvent(string job, long sequence) => string.Create(CultureInfo.InvariantCulture, $"{Event}{Digits(job)}-{sequence}");

    public static string OfCheckpoint(string job, long step) => string.Create(CultureInfo.InvariantCulture, $"{Checkpoint}{Digits(job)}-{step}");

    /// <summary>A job has one file of results.</summary>
    public static string OfResults(string job) => $"file-{Digits(job)}";

    /// <returns>Null: it is no id of a fine-tuning job.</returns>
    public static string? ToJob(string id) => id.StartsWith(FineTuningJob, StringComparison.Ordinal) ? Job + id[FineTuningJob.Length..] : null;

    /// <returns>The event's or the checkpoint's number; null: it is none of that job.</returns>
    public static long? NumberOf(string id, string job) =>
        (id.StartsWith(Event, StringComparison.Ordinal) ? id[Event.Length..] : id.StartsWith(Checkpoint, StringComparison.Ordinal) ? id[Checkpoint.Length..] : "").Split('-')
            is [var digits, var number] && digits == Digits(job) && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    private static string Digits(string job) => job[Job.Length..];
}
