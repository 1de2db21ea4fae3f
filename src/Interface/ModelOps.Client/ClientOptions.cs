namespace ModelOps.Client;

/// <summary>How patient the client is, and its clock and chance.</summary>
public sealed record ClientOptions
{
    public const int DefaultAttempts = 5;

    /// <summary>Attempts of a call that may be repeated, the first included.</summary>
    /// <value>The default is 5.</value>
    public int Attempts { get; init; } = DefaultAttempts;

    /// <summary>Wait after the first failure; it doubles with each further one, up to <see cref="MaxDelay"/>.</summary>
    /// <value>The default is 200 ms.</value>
    public TimeSpan BaseDelay { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <value>The default is 5 s.</value>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest wait that a server may ask for (Retry-After); a call asked to wait longer fails at once.</summary>
    /// <value>The default is 60 s.</value>
    public TimeSpan MaxRetryAfter { get; init; } = TimeSpan.FromMinutes(1);

    /// <value>The default is 5 s.</value>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>W3C trace context that every request carries, so that all of them stand in one trace.</summary>
    /// <value>The default is null: that of the current <see cref="System.Diagnostics.Activity"/>, if there is one.</value>
    public string? TraceParent { get; init; }

    /// <summary>What requests say of who sends them.</summary>
    /// <value>The default is null: nothing.</value>
    public string? UserAgent { get; init; }

    /// <summary>Sends the requests, and stays the caller's.</summary>
    /// <value>The default is the client's own connections.</value>
    public HttpMessageHandler? Handler { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Gives numbers in [0, 1) that spread the waits of many clients.</summary>
    public Func<double> Jitter { get; init; } = Random.Shared.NextDouble;

    /// <summary>The wait after <paramref name="failures"/> failures in a row: between half and all of the doubled delay.</summary>
    internal TimeSpan DelayAfter(int failures)
    {
        var full = Math.Min(BaseDelay.TotalMilliseconds * Math.Pow(2, failures - 1), MaxDelay.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(full * (0.5 + (0.5 * Jitter())));
    }
}
