namespace ModelOps.Temporal;

/// <summary>Deletes runs that closed longer ago than their namespace keeps them.</summary>
internal sealed class Retention : IAsyncDisposable
{
    private const int batch = 500;
    private static readonly TimeSpan interval = TimeSpan.FromMinutes(1);
    private readonly Engine engine;
    private readonly PeriodicTimer timer;
    private readonly Task sweeping;

    public Retention(Engine engine)
    {
        this.engine = engine;
        timer = new PeriodicTimer(interval, engine.Time);
        sweeping = SweepAsync();
    }

    public async ValueTask DisposeAsync()
    {
        timer.Dispose();
        await sweeping.ConfigureAwait(false);
    }

    private async Task SweepAsync()
    {
        while (await timer.WaitForNextTickAsync().ConfigureAwait(false))
        {
            foreach (var ns in engine.Transact(() => engine.Namespaces.All.ToArray()))
                await SweepAsync(ns).ConfigureAwait(false);
        }
    }

    private async Task SweepAsync(DescribeNamespaceResponse ns)
    {
        var limit = engine.Time.GetUtcNow() - ns.Config.WorkflowExecutionRetentionTtl.ToTimeSpan();
        using var reader = engine.Read();
        while (reader.ClosedBefore(ns.NamespaceInfo.Name, limit, batch) is { Count: > 0 } expired)
        {
            await engine.TransactAsync(() =>
            {
                foreach (var write in expired.SelectMany(Writes.DeleteRun))
                    engine.Write(write);
                return true;
            }).ConfigureAwait(false);
        }
    }
}
