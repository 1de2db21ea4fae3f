using System.Collections.Concurrent;
using System.Diagnostics;
using ModelOps.Client;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A client that asks a deployed model the same thing all the time and tries nothing twice.</summary>
internal sealed class SteadyClient(ModelOpsClient client, string model, CancellationToken cancel) : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly CancellationTokenSource finish = new();
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly List<(TimeSpan From, TimeSpan To)> away = [];
    private readonly ConcurrentQueue<Asked> asked = [];
    private Task? asking;

    public void Start() => asking = AskAsync();

    /// <summary>Whether it says that something is not there now; also of an answer that had begun.</summary>
    public static bool SaysAway(Exception failure) => failure is ModelOpsException { Problem: { Type: ProblemTypes.Unavailable } or { Title: "Generation failed" } };

    /// <summary>Since <see cref="Start"/>.</summary>
    public TimeSpan Now => clock.Elapsed;

    /// <summary>A process that its requests need was away from then until now.</summary>
    public void WasAway(TimeSpan from) => away.Add((from, Now));

    /// <summary>Requests that failed while what was killed was away.</summary>
    public int Failed(SurvivalKill kill) => kill.Away is { } gap ? asked.Count(one => one.Failure is not null && one.From <= gap.To && one.To >= gap.From) : 0;

    /// <summary>Stops, once it has an answer to what it asked behind the last time that a process was away.</summary>
    public async Task StopAsync()
    {
        var last = away.Count == 0 ? TimeSpan.Zero : away.Max(gap => gap.To);
        await Eventually.HoldsAsync(() => asked.Any(one => one.Failure is null && one.From > last), cancel);
        await DisposeAsync();
    }

    /// <summary>Holds what came back against when a process was away.</summary>
    /// <returns>For people: how many requests failed, and why.</returns>
    public string Verify()
    {
        var answers = asked.Where(one => one.Failure is null).ToList();
        Assert.Single(answers.Select(one => one.Answer).Distinct(StringComparer.Ordinal)); // whole, or an error: never a part
        foreach (var one in asked.Where(one => one.Failure is not null))
        {
            Assert.True(SaysAway(one.Failure!), $"at {one.From}: {one.Failure}");
            Assert.True(away.Exists(gap => one.From <= gap.To && one.To >= gap.From), $"failed from {one.From} to {one.To}, when nothing was away: {one.Failure}\naway: {string.Join(", ", away)}");
        }
        var reasons = asked.Where(one => one.Failure is not null).GroupBy(one => one.Failure!.Message, StringComparer.Ordinal)
            .OrderByDescending(group => group.Count()).Select(group => $"    {group.Count()} × {group.Key}");
        return $"{asked.Count} requests, {asked.Count - answers.Count} failed in {away.Sum(gap => (gap.To - gap.From).TotalSeconds):0.0} s in which a process was away:\n{string.Join('\n', reasons)}";
    }

    public async ValueTask DisposeAsync()
    {
        if (finish.IsCancellationRequested) return;
        await finish.CancelAsync();
        if (asking is not null) await asking;
        finish.Dispose();
    }

    private async Task AskAsync()
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!finish.IsCancellationRequested)
        {
            var from = Now;
            try
            {
                var answer = await client.Chat.CompleteAsync(MainJobRun.Question(model), cancellationToken: cancel).WaitAsync(patience, cancel);
                asked.Enqueue(new(from, Now, $"{answer.FinishReason} {answer.Usage?.CompletionTokens} {answer.Content}", Failure: null));
            }
            catch (Exception e) when (e is ModelOpsException or TimeoutException)
            {
                asked.Enqueue(new(from, Now, Answer: null, e));
            }
            await tick.WaitForNextTickAsync(cancel);
        }
    }

    private sealed record Asked(TimeSpan From, TimeSpan To, string? Answer, Exception? Failure);
}
