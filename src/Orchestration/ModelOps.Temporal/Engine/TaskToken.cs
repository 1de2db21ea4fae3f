namespace ModelOps.Temporal;

/// <summary>
/// Names one attempt of one task. It is made of stored state alone, so that a worker's answer is understood after a restart of the
/// service.
/// </summary>
internal static class TaskToken
{
    private const char separator = '|';

    public static ByteString Workflow(Run run) => Join(run.Key, run.Task.Stamp);

    public static ByteString Activity(Run run, Activity activity) =>
        Join(run.Key, $"{activity.ScheduledEventId}{separator}{activity.Info.Attempt}");

    public static ByteString Query(Run run, PendingQuery query) => Join(run.Key, $"query{separator}{query.Id}");

    public static string? QueryId(ByteString token) => Split(token) is [_, "query", var id] ? id : null;

    public static string? WorkflowStamp(ByteString token) => Split(token) is [_, var stamp] ? stamp : null;

    public static (long ScheduledEventId, int Attempt)? ActivityAttempt(ByteString token) =>
        Split(token) is [_, var id, var attempt] && long.TryParse(id, out var scheduled) && int.TryParse(attempt, out var number)
            ? (scheduled, number)
            : null;

    public static string RunId(ByteString token) => Split(token)[0];

    private static ByteString Join(RunKey key, string rest) => ByteString.CopyFromUtf8($"{key.RunId}{separator}{rest}");

    private static string[] Split(ByteString token) => token.ToStringUtf8().Split(separator);
}
