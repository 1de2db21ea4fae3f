using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Deployments;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;
using ModelOps.Storage;

namespace ModelOps.Server.Hosting;

/// <summary>
/// Whether the server can do its work now: the database answers, objects can be written, workflows go on, the worker is there, deployments are loaded.
/// </summary>
public sealed class ReadinessChecks(
    MetadataDatabase database, IObjectStore objects, WorkflowEngine workflows, DeploymentManager deployments, TimeProvider time)
{
    private const string ProbeKey = "health/probe";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(2);

    // A write is fsynced: whoever asks twice a second shall not wear the disk.
    private static readonly TimeSpan writableFor = TimeSpan.FromSeconds(5);
    private long? lastWritten;

    public static async Task<IResult> AnswerAsync(ReadinessChecks checks, CancellationToken cancellationToken)
    {
        var notReady = await checks.NotReadyAsync(cancellationToken);
        return notReady.Count == 0
            ? Results.Ok(new Readiness("ready", []))
            : Results.Json(new Readiness("starting", notReady), WireJson.Default.Readiness, statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    /// <returns>What is not ready and why; empty when all is.</returns>
    public async Task<IReadOnlyList<string>> NotReadyAsync(CancellationToken cancellationToken)
    {
        var faults = await Task.WhenAll(
            CheckAsync("database", DatabaseAsync, cancellationToken), CheckAsync("object store", ObjectsAsync, cancellationToken));
        return
        [
            .. faults.OfType<string>(),
            .. workflows.Fault is { } fault ? new[] { $"workflows: {fault}" } : [],
            .. WorkerFaults(),
            .. deployments.List().Where(deployment => deployment.State == DeploymentStates.Loading).Select(deployment => $"deployment {deployment.Name} is loading"),
        ];
    }

    private async Task<string?> CheckAsync(string name, Func<CancellationToken, Task> check, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await check(either.Token).WaitAsync(either.Token);
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{name} did not answer within {patience.TotalSeconds:0} s";
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return $"{name} fails: {e.Message}";
        }
    }

    private async Task DatabaseAsync(CancellationToken cancellationToken)
    {
        if (await database.FaultAsync(cancellationToken) is { } fault) throw new IOException(fault);
    }

    private async Task ObjectsAsync(CancellationToken cancellationToken)
    {
        if (lastWritten is { } last && time.GetElapsedTime(last) < writableFor) return;
        using var probe = new MemoryStream([1], writable: false);
        await objects.PutAsync(ProbeKey, probe, PutMode.Replace, cancellationToken);
        lastWritten = time.GetTimestamp();
    }

    private static IEnumerable<string> WorkerFaults()
    {
        try
        {
            _ = WorkerProgram.Find();
            return [];
        }
        catch (WorkerStartException e)
        {
            return [$"workers cannot start: {e.Message}"];
        }
    }
}
