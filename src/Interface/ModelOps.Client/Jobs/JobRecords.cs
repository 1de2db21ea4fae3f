namespace ModelOps.Client;

/// <summary>The course of a metric over the steps of a job's work.</summary>
/// <param name="Name">For example <c>loss</c>, <c>validation_loss</c>, <c>learning_rate</c>, <c>grad_norm</c>, <c>tokens_per_second</c>.</param>
/// <param name="Points">By step.</param>
public sealed record MetricSeries(string Name, IReadOnlyList<MetricValue> Points);

/// <param name="Step">Steps done.</param>
public sealed record MetricValue(long Step, DateTimeOffset At, double Value);

/// <summary>What the model made of a prompt while it was trained.</summary>
/// <param name="Step">Steps that it was trained for.</param>
/// <param name="Number">Of the prompt, from 1.</param>
/// <param name="Complete">Whether the model ended it; else it was cut.</param>
public sealed record JobSample(long Step, int Number, DateTimeOffset At, string Prompt, string Text, bool Complete);

/// <summary>A checkpoint that training goes on from when it was paused, canceled and retried, or its worker died.</summary>
public sealed record JobCheckpoint
{
    /// <summary>Steps done.</summary>
    public required int Step { get; init; }
    /// <summary>Bytes.</summary>
    public required long Size { get; init; }
    public required DateTimeOffset StoredAt { get; init; }
    /// <summary>Of the step, in nats per learned token.</summary>
    public double? Loss { get; init; }
    /// <summary>Measured after the step; null where it was not.</summary>
    public double? ValidationLoss { get; init; }
    /// <summary>Whether no measurement of the job had a lower validation loss.</summary>
    public bool Best { get; init; }
}
