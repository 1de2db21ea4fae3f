namespace ModelOps.Temporal.Schedules;

/// <summary>A schedule or cron expression that the caller got wrong; the message names every fault and is for the caller (InvalidArgument).</summary>
public sealed class ScheduleException(string message) : Exception(message);
