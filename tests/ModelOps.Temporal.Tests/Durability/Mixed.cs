using Temporalio.Activities;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Durability;

public sealed record MixedInput(int Seed, int Round, int Sum, IReadOnlyCollection<int> Heard, IReadOnlyCollection<int> Doubled);

public sealed record MixedResult(int Sum, int Heard, int Doubled);

/// <summary>What a mixed workflow of a seed does, and so what it must come to: the same whatever happens around it.</summary>
internal sealed record MixedPlan(int Rounds, IReadOnlyList<IReadOnlyList<int>> Steps, int Signals, int Updates)
{
    /// <summary>A step: 0 waits for a timer, 1 runs an activity, 2 a child, 3 three activities at once.</summary>
    public const int Kinds = 4;

    public static MixedPlan Of(int seed)
    {
        var random = new Random(seed);
        var rounds = random.Next(1, 4);
        var steps = Enumerable.Range(0, rounds).Select(_ => (IReadOnlyList<int>)[.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(Kinds))]).ToList();
        return new(rounds, steps, random.Next(4), random.Next(3));
    }

    public MixedResult Result => new(Steps.SelectMany((round, number) => round.Select(kind => kind switch { 0 => 0, 3 => 6 * number, _ => 2 * number })).Sum(), Signals, Updates);
}

public static class ChaosActivities
{
    [Activity]
    public static async Task<int> Double(int number)
    {
        await Task.Delay(20, ActivityExecutionContext.Current.CancellationToken);
        return 2 * number;
    }
}

/// <summary>Rounds of steps, each round a run of its own; signals and updates are heard all the while, and in the last round waited for.</summary>
[Workflow]
public class Mixed
{
    private readonly HashSet<int> heard = [];
    private readonly HashSet<int> doubled = [];

    public static ActivityOptions Options => new()
    {
        // What is lost with a worker's poll in a kill is given again after this.
        StartToCloseTimeout = TimeSpan.FromSeconds(5),
        RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(100), MaximumInterval = TimeSpan.FromSeconds(1) },
    };

    [WorkflowRun]
    public async Task<MixedResult> RunAsync(MixedInput input)
    {
        heard.UnionWith(input.Heard);
        doubled.UnionWith(input.Doubled);
        var plan = MixedPlan.Of(input.Seed);
        var sum = input.Sum;
        foreach (var kind in plan.Steps[input.Round]) sum += await StepAsync(kind, input.Round);
        if (input.Round == plan.Rounds - 1) await Workflow.WaitConditionAsync(() => heard.Count == plan.Signals && doubled.Count == plan.Updates);
        await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished);
        return input.Round == plan.Rounds - 1
            ? new(sum, heard.Count, doubled.Count)
            : throw Workflow.CreateContinueAsNewException((Mixed w) => w.RunAsync(new(input.Seed, input.Round + 1, sum, heard.Order().ToList(), doubled.Order().ToList())));
    }

    [WorkflowSignal]
    public Task HearAsync(int number)
    {
        heard.Add(number);
        return Task.CompletedTask;
    }

    [WorkflowUpdate]
    public async Task<int> DoubleAsync(int number)
    {
        var result = await Workflow.ExecuteActivityAsync(() => ChaosActivities.Double(number), Options);
        doubled.Add(number);
        return result;
    }

    private static async Task<int> StepAsync(int kind, int number)
    {
        switch (kind)
        {
            case 0:
                await Workflow.DelayAsync(50);
                return 0;
            case 1:
                return await Workflow.ExecuteActivityAsync(() => ChaosActivities.Double(number), Options);
            case 2:
                return await Workflow.ExecuteChildWorkflowAsync((MixedChild w) => w.RunAsync(number));
            default:
                return (await Workflow.WhenAllAsync(Enumerable.Range(0, 3).Select(_ => Workflow.ExecuteActivityAsync(() => ChaosActivities.Double(number), Options)))).Sum();
        }
    }
}

[Workflow]
public class MixedChild
{
    [WorkflowRun]
    public async Task<int> RunAsync(int number)
    {
        await Workflow.DelayAsync(20);
        return await Workflow.ExecuteActivityAsync(() => ChaosActivities.Double(number), Mixed.Options);
    }
}
