using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;
using ModelOps.Client;

namespace ModelOps.Studio.Shell;

/// <summary>A page: whose it is, what went wrong on it, and its end.</summary>
public abstract class StudioPage : ComponentBase, IDisposable
{
    private readonly CancellationTokenSource gone = new();

    protected StudioPage() => Gone = gone.Token;

    [CascadingParameter] public Person Me { get; set; } = null!;

    protected ModelOpsClient Api => Me.Client;

    /// <summary>Canceled when the page is left.</summary>
    protected CancellationToken Gone { get; }

    /// <summary>Of the last act; null: it went well.</summary>
    protected Problem? Fault { get; set; }

    protected bool Busy { get; private set; }

    /// <summary>Does something that the API may refuse; the page then shows why.</summary>
    protected async Task TryAsync(Func<Task> act)
    {
        (Busy, Fault) = (true, null);
        try
        {
            await act().ConfigureAwait(true);
        }
        catch (ModelOpsException exception)
        {
            Fault = exception.Problem;
        }
        catch (Exception exception) when (exception is OperationCanceledException or JSDisconnectedException && gone.IsCancellationRequested)
        {
            // The page was left.
        }
        finally
        {
            Busy = false;
        }
    }

    /// <summary>Goes on beside the page until it is left; what fails is shown.</summary>
    protected void Beside(Func<Task> work) => _ = InvokeAsync(async () =>
    {
        try
        {
            await work().ConfigureAwait(true);
        }
        catch (ModelOpsException exception)
        {
            Fault = exception.Problem;
            StateHasChanged();
        }
        catch (Exception exception) when (exception is OperationCanceledException or JSDisconnectedException or ObjectDisposedException && gone.IsCancellationRequested)
        {
            // The page was left.
        }
    });

    /// <summary>Asks again and again while the page is looked at.</summary>
    protected void Every(TimeSpan pause, Func<Task> ask) => Beside(async () =>
    {
        using var timer = new PeriodicTimer(pause);
        while (await timer.WaitForNextTickAsync(Gone).ConfigureAwait(true))
        {
            try
            {
                await ask().ConfigureAwait(true);
                if (Fault?.Type == ProblemTypes.Unavailable) Fault = null;
            }
            catch (ServerUnreachableException exception)
            {
                Fault = exception.Problem; // it may come back
            }
            StateHasChanged();
        }
    });

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        gone.Cancel();
        gone.Dispose();
    }
}
