using ModelOps.Training;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

/// <summary>What training tells, in the words of its job: steps and measurements are points of the job's series, messages stand in its events and its log, samples by themselves.</summary>
internal sealed partial class TrainingReports(IProgress<ActivityProgress> job, TimeProvider time, ILogger logger) : IProgress<TrainingProgress>
{
    private readonly Lock gate = new();
    private ActivityProgress latest = ActivityProgress.Of("starting");

    /// <summary>On the caller's thread, in order: <see cref="Progress{T}"/> posts to the thread pool and may reorder.</summary>
    public void Report(TrainingProgress value)
    {
        if (value.Message is not null) Log.Said(logger, value.Message);
        lock (gate)
        {
            latest = new ActivityProgress(value.Stage, value.Step, value.Total, value.Metrics);
            job.Report(latest with
            {
                Message = value.Message,
                Sample = value.Sample is { } sample ? new(sample.Steps, sample.Number, time.GetUtcNow(), sample.Prompt, sample.Text, sample.Complete) : null,
                IsPoint = value.Stage is TrainingStages.Train or TrainingStages.Validated,
                EndsStage = value.Stage == TrainingStages.Validated,
            });
        }
    }

    /// <summary>Leaves the stage as it is.</summary>
    public void Say(string message)
    {
        Log.Said(logger, message);
        lock (gate) job.Report(latest with { Message = message });
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Message}")]
        public static partial void Said(ILogger logger, string message);
    }
}
