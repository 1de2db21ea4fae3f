using System.Collections.Concurrent;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests;

/// <summary>What the workflows of the tests do outside themselves. What a test must know of an attempt is kept by workflow id.</summary>
public static class Activities
{
    private static readonly ConcurrentDictionary<string, TaskCompletionSource> gates = new();
    private static readonly ConcurrentDictionary<string, byte[]> tokens = new();

    /// <summary>Opened by a test: what an activity waits for.</summary>
    public static TaskCompletionSource Gate(string name) => gates.GetOrAdd(name, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));

    public static byte[]? TokenOf(string workflowId) => tokens.GetValueOrDefault(workflowId);

    private static ActivityExecutionContext Context => ActivityExecutionContext.Current;

    [Activity]
    public static string Hello(string name) => $"hello {name}";

    /// <summary>The attempt that succeeds.</summary>
    [Activity]
    public static int FailUntil(int attempt) =>
        Context.Info.Attempt >= attempt ? Context.Info.Attempt : throw new InvalidOperationException($"attempt {Context.Info.Attempt}");

    [Activity]
    public static void FailWith(string type, bool nonRetryable) => throw new ApplicationFailureException("bad input", type, nonRetryable);

    /// <summary>Fails once and names its own delay; returns how long it took to be tried again.</summary>
    [Activity]
    public static double FailWithDelay(int milliseconds)
    {
        if (Context.Info.Attempt == 1) throw new ApplicationFailureException("later", nextRetryDelay: TimeSpan.FromMilliseconds(milliseconds));
        return (Context.Info.CurrentAttemptScheduledTime - Context.Info.ScheduledTime).TotalMilliseconds;
    }

    /// <summary>Until the test opens the gate of this name.</summary>
    [Activity]
    public static async Task<string> WaitForGate(string name)
    {
        Gate($"{name} entered").TrySetResult();
        await Gate(name).Task.WaitAsync(Context.CancellationToken);
        return name;
    }

    /// <summary>Never ends by itself and does not see a cancellation, so that only the service ends it. Ends with the worker.</summary>
    [Activity]
    public static async Task Hang()
    {
        Gate($"{Context.Info.WorkflowId} entered").TrySetResult();
        await Task.Delay(TimeSpan.FromSeconds(30), Context.WorkerShutdownToken);
    }

    /// <summary>The first attempt stops to heartbeat; a later one says what the first told.</summary>
    [Activity]
    public static async Task<string> HeartbeatThenHang()
    {
        if (Context.Info.Attempt > 1) return $"{await Context.Info.HeartbeatDetailAtAsync<int>(0)} in attempt {Context.Info.Attempt}";
        Context.Heartbeat(41);
        Context.Heartbeat(42);
        await Task.Delay(TimeSpan.FromSeconds(30), CancellationTokenSource.CreateLinkedTokenSource(Context.WorkerShutdownToken, Context.CancellationToken).Token);
        return "";
    }

    [Activity]
    public static async Task<string> HeartbeatUntilCanceled(string whenCanceled)
    {
        Gate($"{Context.Info.WorkflowId} entered").TrySetResult();
        try
        {
            for (var beat = 0; ; beat++)
            {
                Context.Heartbeat(beat);
                await Task.Delay(50, Context.CancellationToken);
            }
        }
        catch (OperationCanceledException) when (whenCanceled == "complete")
        {
            return "completed all the same";
        }
        catch (OperationCanceledException e) when (whenCanceled == "fail")
        {
            throw new ApplicationFailureException("failed in cleanup", e, nonRetryable: true);
        }
    }

    /// <summary>Left open, for the test to complete.</summary>
    [Activity]
    public static string CompleteLater()
    {
        tokens[Context.Info.WorkflowId!] = Context.Info.TaskToken;
        Gate($"{Context.Info.WorkflowId} entered").TrySetResult();
        throw new CompleteAsyncException();
    }

    [Activity]
    public static string Describe()
    {
        var info = Context.Info;
        return $"{info.ActivityType} {info.Attempt} {info.IsLocal} {info.WorkflowType} {info.StartToCloseTimeout} {info.HeartbeatTimeout}";
    }

    [Activity]
    public static Task Terminate(string workflowId) => Context.TemporalClient.GetWorkflowHandle(workflowId).TerminateAsync("by an activity");
}
