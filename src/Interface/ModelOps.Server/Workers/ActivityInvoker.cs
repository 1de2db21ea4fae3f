using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf;
using Grpc.Core;
using ModelOps.Workflows;
using ModelOps.Workflows.Wire;

namespace ModelOps.Server.Workers;

/// <summary>Activities that run in the server itself: only the server writes metadata.</summary>
public sealed class ControlActivities
{
    private readonly Dictionary<string, Func<object, CancellationToken, Task<object>>> handlers = new(StringComparer.Ordinal);

    public void Add<TInput, TResult>(Activity<TInput, TResult> activity, Func<TInput, CancellationToken, Task<TResult>> run)
        where TInput : notnull
        where TResult : notnull =>
        handlers.Add(activity.Name, async (input, cancellationToken) => await run((TInput)input, cancellationToken));

    public Task<object> RunAsync(string name, object input, CancellationToken cancellationToken) => handlers[name](input, cancellationToken);
}

public sealed class ActivityInvokerFactory(ControlActivities control, WorkerSupervisor workers)
{
    public IActivityInvoker For(IProgress<ActivityProgress> progress) => new Invoker(control, workers, progress);

    private sealed class Invoker(ControlActivities control, WorkerSupervisor workers, IProgress<ActivityProgress> progress) : IActivityInvoker
    {
        public async Task<TResult> ExecuteAsync<TInput, TResult>(
            Activity<TInput, TResult> activity, TInput input, CancellationToken cancellationToken) =>
            activity.Role == WorkerRole.Control
                ? (TResult)await control.RunAsync(activity.Name, input!, cancellationToken)
                : await InWorkerAsync(activity, input, cancellationToken);

        private async Task<TResult> InWorkerAsync<TInput, TResult>(
            Activity<TInput, TResult> activity, TInput input, CancellationToken cancellationToken)
        {
            WorkerLease taken;
            try
            {
                taken = await workers.LeaseAsync(activity.Role, cancellationToken);
            }
            catch (WorkerStartException e)
            {
                throw new ActivityException(ActivityFailures.WorkerDied, e.Message, retryable: true, e);
            }
            using var lease = taken;
            var worker = lease.Process;
            var request = new ActivityRequest
            {
                Name = activity.Name,
                Input = UnsafeByteOperations.UnsafeWrap(JsonSerializer.SerializeToUtf8Bytes(input, activity.InputType)),
            };
            try
            {
                using var call = new ActivityWorker.ActivityWorkerClient(worker.Channel).Execute(request, cancellationToken: cancellationToken);
                return await FoldAsync(call.ResponseStream, activity.ResultType, cancellationToken);
            }
            catch (RpcException e) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException("the activity was canceled", e, cancellationToken);
            }
            catch (RpcException e)
            {
                throw new ActivityException(ActivityFailures.WorkerDied, await WhyAsync(worker, activity.Role, e), retryable: true, e);
            }
        }

        private async Task<TResult> FoldAsync<TResult>(
            IAsyncStreamReader<ActivityEvent> events, JsonTypeInfo<TResult> resultType, CancellationToken cancellationToken)
        {
            await foreach (var next in events.ReadAllAsync(cancellationToken))
                switch (next.EventCase)
                {
                    case ActivityEvent.EventOneofCase.Heartbeat:
                        if (JsonSerializer.Deserialize(next.Heartbeat.Span, ActivityJson.Default.ActivityProgress) is { } heartbeat)
                            progress.Report(heartbeat);
                        break;
                    case ActivityEvent.EventOneofCase.Failure:
                        throw new ActivityException(next.Failure.Type, next.Failure.Message, next.Failure.Retryable);
                    case ActivityEvent.EventOneofCase.Result:
                        return JsonSerializer.Deserialize(next.Result.Span, resultType)
                            ?? throw new ActivityException(ActivityFailures.Internal, "the worker answered nothing");
                }
            throw new ActivityException(ActivityFailures.WorkerDied, "the worker ended the activity without a result", retryable: true);
        }

        // A broken call usually means that the process died: a moment later its exit says how.
        private static async Task<string> WhyAsync(WorkerProcess worker, WorkerRole role, RpcException e)
        {
            await Task.WhenAny(worker.Exited, Task.Delay(TimeSpan.FromSeconds(2)));
            return worker.Exited.IsCompleted
                ? $"the {role.Name()} worker {worker.HowItEnded}. It ran this job; the server goes on with a new worker, and the job can be started again"
                : $"the {role.Name()} worker broke off: {e.Status.Detail}";
        }
    }
}
