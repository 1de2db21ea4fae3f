using System.Diagnostics;

namespace ModelOps.Tests.EndToEnd;

/// <summary>For what another process does in its own time: asked again until it holds, for 30 s at most.</summary>
internal static class Eventually
{
    public static Task HoldsAsync(Func<bool> condition, CancellationToken cancel) => HoldsAsync(() => Task.FromResult(condition()), cancel);

    public static async Task HoldsAsync(Func<Task<bool>> condition, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "it did not happen within 30 s");
            await tick.WaitForNextTickAsync(cancel);
        }
    }
}
