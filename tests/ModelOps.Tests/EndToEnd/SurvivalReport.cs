using System.Globalization;
using System.Text;
using System.Text.Json;

namespace ModelOps.Tests.EndToEnd;

/// <param name="Victim">What was killed.</param>
/// <param name="Stage">In which stage of the main job.</param>
internal sealed record SurvivalKill(string Victim, MainJobStage Stage, DateTimeOffset At)
{
    /// <summary>When the model did not answer, by the clock of the client that asks it; null: it answered all the time.</summary>
    public (TimeSpan From, TimeSpan To)? Away { get; init; }

    /// <summary>Until the model answered again, or the next try of the job's step began; null: nothing waited for what was killed.</summary>
    public TimeSpan? Recovery { get; init; }

    public int FailedRequests { get; init; }
}

/// <summary>What was killed in which stage, and how long that was felt.</summary>
internal sealed class SurvivalReport
{
    private static readonly JsonSerializerOptions indented = new() { WriteIndented = true };
    private readonly List<SurvivalKill> kills = [];

    public void Add(SurvivalKill kill) => kills.Add(kill);

    public string ToJson() => JsonSerializer.Serialize(
        kills.Select(kill => new
        {
            victim = kill.Victim,
            stage = kill.Stage.ToString().ToLowerInvariant(),
            at = kill.At,
            recovery_seconds = kill.Recovery?.TotalSeconds,
            failed_requests = kill.FailedRequests,
        }),
        indented);

    public override string ToString()
    {
        var text = new StringBuilder($"{kills.Count} kills\n");
        foreach (var same in kills.GroupBy(kill => kill.Victim, StringComparer.Ordinal).OrderByDescending(same => same.Count()))
        {
            var stages = same.CountBy(kill => kill.Stage).OrderBy(stage => stage.Key).Select(stage => $"{stage.Key} {stage.Value}");
            var recovery = same.Where(kill => kill.Recovery is not null).Select(kill => kill.Recovery!.Value.TotalSeconds).Order().ToList();
            var times = recovery.Count == 0 ? "nothing waited for it" : $"recovered in {recovery[recovery.Count / 2]:0.0} s (median), {recovery[^1]:0.0} s (most)";
            text.Append(CultureInfo.InvariantCulture, $"  {same.Key}: {same.Count()} ({string.Join(", ", stages)}), {times}, {same.Sum(kill => kill.FailedRequests)} requests failed\n");
        }
        return text.ToString();
    }
}
