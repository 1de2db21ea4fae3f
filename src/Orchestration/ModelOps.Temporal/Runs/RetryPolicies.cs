namespace ModelOps.Temporal;

/// <summary>Whether and when a failed attempt is tried again.</summary>
/// <param name="Delay">Before the next attempt; null when there is none.</param>
internal sealed record RetryDecision(RetryState State, TimeSpan? Delay);

/// <summary>Temporal's retry policies, with its server's defaults: 1 s, doubling, up to 100 times the first interval.</summary>
internal static class RetryPolicies
{
    private static readonly TimeSpan defaultInterval = TimeSpan.FromSeconds(1);
    private const double defaultCoefficient = 2;
    private const int defaultMaximumFactor = 100;
    private static readonly TimeSpan longest = TimeSpan.FromDays(365);

    /// <summary>A policy with every default written out.</summary>
    public static RetryPolicy WithDefaults(RetryPolicy? policy)
    {
        var complete = policy?.Clone() ?? new();
        if (complete.InitialInterval.OrZero() == TimeSpan.Zero)
            complete.InitialInterval = Duration.FromTimeSpan(defaultInterval);
        if (complete.BackoffCoefficient == 0)
            complete.BackoffCoefficient = defaultCoefficient;
        if (complete.MaximumInterval.OrZero() == TimeSpan.Zero)
            complete.MaximumInterval = Duration.FromTimeSpan(complete.InitialInterval.ToTimeSpan() * defaultMaximumFactor);
        return complete;
    }

    /// <param name="policy">With its defaults written out.</param>
    /// <param name="attempt">The attempt that failed, from 1.</param>
    /// <param name="failure">Why it failed.</param>
    /// <param name="now">When it failed.</param>
    /// <param name="expiration">A next attempt starts before it.</param>
    public static RetryDecision Decide(RetryPolicy policy, int attempt, Failure failure, DateTimeOffset now, DateTimeOffset expiration)
    {
        if (!IsRetryable(policy, failure))
            return new(RetryState.NonRetryableFailure, null);
        if (failure.TimeoutFailureInfo is { } timeout && timeout.TimeoutType is not (TimeoutType.StartToClose or TimeoutType.Heartbeat))
            return new(RetryState.Timeout, null);
        if (policy.MaximumAttempts > 0 && attempt >= policy.MaximumAttempts)
            return new(RetryState.MaximumAttemptsReached, null);
        var delay = failure.ApplicationFailureInfo?.NextRetryDelay?.ToTimeSpan() ?? Interval(policy, attempt);
        return now + delay >= expiration ? new(RetryState.Timeout, null) : new(RetryState.InProgress, delay);
    }

    private static bool IsRetryable(RetryPolicy policy, Failure failure) => failure.FailureInfoCase switch
    {
        Failure.FailureInfoOneofCase.ApplicationFailureInfo => !failure.ApplicationFailureInfo.NonRetryable
            && !policy.NonRetryableErrorTypes.Contains(failure.ApplicationFailureInfo.Type),
        Failure.FailureInfoOneofCase.TerminatedFailureInfo or Failure.FailureInfoOneofCase.CanceledFailureInfo => false,
        Failure.FailureInfoOneofCase.ServerFailureInfo => !failure.ServerFailureInfo.NonRetryable,
        _ => true,
    };

    private static TimeSpan Interval(RetryPolicy policy, int attempt)
    {
        var seconds = policy.InitialInterval.ToTimeSpan().TotalSeconds * Math.Pow(policy.BackoffCoefficient, attempt - 1);
        var limit = policy.MaximumInterval.OrZero() is { Ticks: > 0 } maximum ? maximum : longest;
        return seconds < limit.TotalSeconds ? TimeSpan.FromSeconds(seconds) : limit;
    }
}
