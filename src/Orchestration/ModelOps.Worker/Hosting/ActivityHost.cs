using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using ModelOps.Workflows;
using ModelOps.Workflows.Wire;

namespace ModelOps.Worker.Hosting;

/// <summary>The activities that this process runs, by name.</summary>
public sealed class ActivityHandlers
{
    private readonly Dictionary<string, Func<ByteString, IProgress<ActivityProgress>, CancellationToken, Task<byte[]>>> handlers =
        new(StringComparer.Ordinal);

    public void Add<TInput, TResult>(
        Activity<TInput, TResult> activity, Func<TInput, IProgress<ActivityProgress>, CancellationToken, Task<TResult>> run) =>
        handlers.Add(activity.Name, async (json, progress, cancellationToken) =>
        {
            var input = Deserialize(json, activity.InputType)
                ?? throw new ActivityException(ActivityFailures.InvalidInput, $"activity {activity.Name} got no input");
            return JsonSerializer.SerializeToUtf8Bytes(await run(input, progress, cancellationToken), activity.ResultType);
        });

    public Func<ByteString, IProgress<ActivityProgress>, CancellationToken, Task<byte[]>>? Find(string name) => handlers.GetValueOrDefault(name);

    private static T? Deserialize<T>(ByteString json, JsonTypeInfo<T> type) => JsonSerializer.Deserialize(json.Span, type);
}

/// <summary>Runs one activity per call: heartbeats while it runs, then its result or failure. Cancelling the call cancels it.</summary>
internal sealed partial class ActivityService(ActivityHandlers handlers, ServerLink server, ILogger<ActivityService> logger) : ActivityWorker.ActivityWorkerBase
{
    public override async Task Execute(
        ActivityRequest request, IServerStreamWriter<ActivityEvent> responseStream, ServerCallContext context)
    {
        if (handlers.Find(request.Name) is not { } run)
            throw new RpcException(new Status(StatusCode.Unimplemented, $"this worker has no activity {request.Name}"));
        using var task = server.Begin();
        Log.Started(logger, request.Name);
        // Only the newest heartbeat matters to whoever is slow to read.
        var heartbeats = Channel.CreateBounded<ActivityProgress>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
        var running = Task.Run(
            async () =>
            {
                try
                {
                    return await RunAsync(request, run, heartbeats.Writer, context.CancellationToken);
                }
                finally
                {
                    heartbeats.Writer.Complete();
                }
            },
            CancellationToken.None);
        await foreach (var progress in heartbeats.Reader.ReadAllAsync(CancellationToken.None))
        {
            if (context.CancellationToken.IsCancellationRequested) continue;
            var json = JsonSerializer.SerializeToUtf8Bytes(progress, ActivityJson.Default.ActivityProgress);
            await responseStream.WriteAsync(new ActivityEvent { Heartbeat = UnsafeByteOperations.UnsafeWrap(json) });
        }
        await responseStream.WriteAsync(await running);
    }

    private async Task<ActivityEvent> RunAsync(
        ActivityRequest request,
        Func<ByteString, IProgress<ActivityProgress>, CancellationToken, Task<byte[]>> run,
        ChannelWriter<ActivityProgress> heartbeats,
        CancellationToken cancellationToken)
    {
        try
        {
            var result = await run(request.Input, new Heartbeat(heartbeats), cancellationToken);
            Log.Finished(logger, request.Name);
            return new ActivityEvent { Result = UnsafeByteOperations.UnsafeWrap(result) };
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Log.Canceled(logger, request.Name);
            throw;
        }
        catch (ActivityException e)
        {
            Log.Failed(logger, request.Name, e.FailureType, e.Message);
            return Failure(e.FailureType, e.Message, e.Retryable);
        }
        catch (Exception e)
        {
            Log.Crashed(logger, e, request.Name);
            return Failure(ActivityFailures.Internal, e.Message, retryable: false);
        }
    }

    private static ActivityEvent Failure(string type, string message, bool retryable) =>
        new() { Failure = new ActivityFailure { Type = type, Message = message, Retryable = retryable } };

    private sealed class Heartbeat(ChannelWriter<ActivityProgress> writer) : IProgress<ActivityProgress>
    {
        public void Report(ActivityProgress value) => writer.TryWrite(value);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "activity {Name} started")]
        public static partial void Started(ILogger logger, string name);

        [LoggerMessage(2, LogLevel.Information, "activity {Name} finished")]
        public static partial void Finished(ILogger logger, string name);

        [LoggerMessage(3, LogLevel.Information, "activity {Name} canceled")]
        public static partial void Canceled(ILogger logger, string name);

        [LoggerMessage(4, LogLevel.Warning, "activity {Name} failed ({Type}): {Reason}")]
        public static partial void Failed(ILogger logger, string name, string type, string reason);

        [LoggerMessage(5, LogLevel.Error, "activity {Name} crashed")]
        public static partial void Crashed(ILogger logger, Exception exception, string name);
    }
}
