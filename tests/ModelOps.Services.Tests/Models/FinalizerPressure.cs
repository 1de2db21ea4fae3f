namespace ModelOps.Services.Tests.Models;

/// <summary>Collects garbage and runs finalizers all the time: a native argument that nothing keeps alive is freed within its call.</summary>
internal sealed class FinalizerPressure : IAsyncDisposable
{
    private readonly CancellationTokenSource done = new();
    private readonly Task collecting;

    public FinalizerPressure() => collecting = Task.Run(() =>
    {
        while (!done.IsCancellationRequested)
        {
            GC.Collect(0);
            GC.WaitForPendingFinalizers();
        }
    });

    public async ValueTask DisposeAsync()
    {
        await done.CancelAsync();
        await collecting.WaitAsync(TimeSpan.FromSeconds(10));
        done.Dispose();
    }
}
