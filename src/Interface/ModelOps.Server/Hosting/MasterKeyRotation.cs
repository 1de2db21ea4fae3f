using ModelOps.Storage;

namespace ModelOps.Server.Hosting;

/// <summary>Once after a start with previous master keys: brings every object under the current one, beside the serving.</summary>
internal sealed partial class MasterKeyRotation(ObjectStores stores, ILogger<MasterKeyRotation> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield(); // a store of files works on the caller's thread, which is the start's
        try
        {
            var report = await stores.RewrapAsync(stoppingToken);
            foreach (var refused in report.Refused) Log.Refused(logger, refused);
            if (report.Refused.Count == 0) Log.Done(logger, report.Rewrapped, report.Current);
        }
        catch (Exception e) when (!stoppingToken.IsCancellationRequested)
        {
            Log.Failed(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Rewrapped} objects were brought under the current master key, {Current} were; the previous master keys are needed no more")]
        public static partial void Done(ILogger logger, long rewrapped, long current);

        [LoggerMessage(2, LogLevel.Error, "not brought under the current master key, keep the previous ones: {Reason}")]
        public static partial void Refused(ILogger logger, string reason);

        [LoggerMessage(3, LogLevel.Error, "the objects could not all be brought under the current master key, keep the previous ones; the next start goes on")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
