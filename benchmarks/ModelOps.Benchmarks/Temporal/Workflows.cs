using Temporalio.Activities;
using Temporalio.Workflows;

namespace ModelOps.Benchmarks.Temporal;

[Workflow]
public class Empty
{
    [WorkflowRun]
    public Task<int> RunAsync() => Task.FromResult(1);
}

[Workflow]
public class OneActivity
{
    [Activity]
    public static int Add(int number) => number + 1;

    [WorkflowRun]
    public Task<int> RunAsync(int number) => Workflow.ExecuteActivityAsync(() => Add(number), new() { StartToCloseTimeout = TimeSpan.FromMinutes(1) });
}

/// <summary>Stays open: its state is a timer, as that of a run that waits for something.</summary>
[Workflow]
public class Waiting
{
    [WorkflowRun]
    public Task RunAsync() => Workflow.DelayAsync(TimeSpan.FromDays(1));
}

/// <summary>Five events a timer.</summary>
[Workflow]
public class Timers
{
    [WorkflowRun]
    public async Task<int> RunAsync(int count)
    {
        for (var i = 0; i < count; i++) await Workflow.DelayAsync(1);
        return Workflow.CurrentHistoryLength;
    }
}
