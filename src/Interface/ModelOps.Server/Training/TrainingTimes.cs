using System.Text.Json;
using ModelOps.Client;
using ModelOps.Recipes;
using ModelOps.Server.Jobs;

namespace ModelOps.Server.Training;

/// <summary>How long a planned training would take: from the speed of the last one of the same base and method, else from arithmetic.</summary>
public sealed class TrainingTimes(JobStore jobs, JobMetrics metrics)
{
    private const int LookedThrough = 100; // jobs of the kind, the newest
    private const int FewestSteps = 3;
    private const string speed = "tokens_per_second";

    /// <summary>
    /// Share of the machine's matrix product peak that training takes: of tiny models and short rows little, of those of a hundred million weights 60 %
    /// (benchmarks/README.md).
    /// </summary>
    private const double LeastShare = 0.1, UsualShare = 0.4, MostShare = 0.7;

    /// <param name="input">Of the plan's job.</param>
    public async Task<TrainingPlan> AddToAsync(TrainingPlan plan, JsonElement input, CancellationToken cancellationToken)
    {
        if (plan.Work is not { } work) return plan;
        var method = plan.Recipe.GetProperty("method").GetString()!;
        var earlier = await EarlierAsync(BaseOf(input), method, cancellationToken);
        return plan with { Time = earlier is var (job, speeds) ? Of(work, speeds, job) : Of(work) };
    }

    /// <summary>By the median of an earlier job's steps; from its fastest tenth to its slowest.</summary>
    /// <param name="speeds">Tokens per second of each step; not none.</param>
    public static PlannedTime Of(PlannedWork work, IReadOnlyList<double> speeds, string job)
    {
        var sorted = speeds.Order().ToList();
        return new(work.Tokens, work.MeasuredTokens, SecondsAt(0.5), SecondsAt(0.9), SecondsAt(0.1), job);

        double SecondsAt(double share) => work.Flops / (work.FlopsPerToken * sorted[(int)Math.Round(share * (sorted.Count - 1))]);
    }

    public static PlannedTime Of(PlannedWork work)
    {
        var atPeak = work.Flops / work.PeakFlops;
        return new(work.Tokens, work.MeasuredTokens, atPeak / UsualShare, atPeak / MostShare, atPeak / LeastShare, Job: null);
    }

    private async Task<(string Job, IReadOnlyList<double> Speeds)?> EarlierAsync(string? from, string method, CancellationToken cancellationToken)
    {
        var kind = method == NameOf(TrainingMethod.Pretrain) ? JobKinds.Pretraining : JobKinds.Sft;
        var trained = await jobs.ListAsync(new JobQuery([], kind, Before: null, LookedThrough), cancellationToken);
        foreach (var job in trained.Where(job => BaseOf(job.Input) == from && MethodOf(job.Input) == method))
        {
            var series = await metrics.ReadAsync(job.Id, [speed], after: 1, most: null, cancellationToken); // the first step is slower than the others
            if (series is [{ Points.Count: >= FewestSteps } measured]) return (job.Id, [.. measured.Points.Select(point => point.Value)]);
        }
        return null;
    }

    private static string? BaseOf(JsonElement input) => input.TryGetProperty("base", out var from) ? from.GetString() : null;

    private static string MethodOf(JsonElement input) =>
        input.TryGetProperty("recipe", out var recipe) && recipe.TryGetProperty("method", out var method) ? method.GetString()! : NameOf(TrainingMethod.Lora);

    private static string NameOf(TrainingMethod method) => $"{method}".ToLowerInvariant();
}
