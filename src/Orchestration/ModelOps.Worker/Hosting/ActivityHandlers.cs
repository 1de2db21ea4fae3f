using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Worker.Hosting;

/// <summary>The activities that this process runs.</summary>
internal sealed class ActivityHandlers(ActivityRunner runner)
{
    private readonly List<ActivityDefinition> definitions = [];

    public IReadOnlyList<ActivityDefinition> Definitions => definitions;

    public void Add<TInput, TResult>(
        Activity<TInput, TResult> activity, Func<TInput, IProgress<ActivityProgress>, CancellationToken, Task<TResult>> run) =>
        definitions.Add(ActivityDefinition.Create(
            activity.Name,
            typeof(Task<TResult>),
            [typeof(TInput), typeof(JobRun)],
            requiredParameterCount: 2,
            arguments => runner.RunAsync((TInput)arguments[0]!, (JobRun)arguments[1]!, run)));
}
