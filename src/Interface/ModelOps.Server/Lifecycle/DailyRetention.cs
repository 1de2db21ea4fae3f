using ModelOps.Registry;
using ModelOps.Server.Files;
using ModelOps.Server.Training;

namespace ModelOps.Server.Lifecycle;

/// <summary>Runs retention soon after the start, which takes up what a killed run left, and then once a day.</summary>
public sealed partial class DailyRetention(
    ArtifactRetention retention, JobCheckpoints checkpoints, FileStore files, BlobStore blobs, LifecycleOptions options, TimeProvider time, ILogger<DailyRetention> logger) : BackgroundService
{
    private const string Actor = "retention";
    private static readonly TimeSpan settling = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(settling, time, stoppingToken); // the server is ready before the first run
        using var day = new PeriodicTimer(TimeSpan.FromDays(1), time);
        do
        {
            try
            {
                await files.SweepAsync(stoppingToken);
                await blobs.SweepStagedAsync(time.GetUtcNow(), stoppingToken);
                var report = await retention.RunAsync(options.Retention, Actor, dryRun: false, stoppingToken);
                if (report.Removed.Count + report.SetAside.Blobs + report.Freed.Blobs > 0)
                    Log.Ran(logger, report.Removed.Count, report.SetAside.Blobs, report.Freed.Blobs, report.Freed.Bytes);
                await checkpoints.SweepAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, e);
            }
        }
        while (await day.WaitForNextTickAsync(stoppingToken));
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "retention let the files of {Artifacts} artifacts go, set {SetAside} blobs aside, freed {Freed} ({Bytes} bytes)")]
        public static partial void Ran(ILogger logger, int artifacts, int setAside, int freed, long bytes);

        [LoggerMessage(2, LogLevel.Error, "retention failed; it is run again tomorrow, or now by 'modelops artifacts prune'")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
