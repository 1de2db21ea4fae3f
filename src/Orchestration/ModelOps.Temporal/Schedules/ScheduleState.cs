using System.Text.Json;
using System.Text.Json.Serialization;
using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal.Schedules;

/// <summary>All that is kept of a schedule: <see cref="Write"/> it with every change, <see cref="Read"/> it at recovery.</summary>
public sealed class ScheduleState
{
    /// <summary>The schedule as its user wrote it; pauses and remaining actions are kept in it.</summary>
    public required Schedule Schedule { get; set; }

    /// <summary>Counts, running and recent actions, times of creation and update.</summary>
    public ScheduleInfo Info { get; init; } = new();

    /// <summary>The last time of the spec, before jitter, that was dealt with.</summary>
    public DateTimeOffset ProcessedUntil { get; set; }

    public IReadOnlyList<BufferedStart> Buffer { get; set; } = [];

    /// <summary>Result of the last action that completed, which the next is given.</summary>
    public Payloads? LastResult { get; set; }

    /// <summary>Failure of the last action, where it failed, which the next is given.</summary>
    public Failure? LastFailure { get; set; }

    /// <summary>Grows with each change by a user: what an update names to be refused if another came between.</summary>
    public long ConflictToken { get; set; } = 1;

    public byte[] Write() => JsonSerializer.SerializeToUtf8Bytes(
        new(Schedule.ToByteArray(), Info.ToByteArray(), ProcessedUntil, Buffer, LastResult?.ToByteArray(), LastFailure?.ToByteArray(), ConflictToken),
        ScheduleJson.Default.Stored);

    public static ScheduleState Read(ReadOnlySpan<byte> bytes)
    {
        var stored = JsonSerializer.Deserialize(bytes, ScheduleJson.Default.Stored) ?? throw new InvalidDataException("a stored schedule is empty");
        return new()
        {
            Schedule = Schedule.Parser.ParseFrom(stored.Schedule),
            Info = ScheduleInfo.Parser.ParseFrom(stored.Info),
            ProcessedUntil = stored.ProcessedUntil,
            Buffer = stored.Buffer,
            LastResult = stored.LastResult is null ? null : Payloads.Parser.ParseFrom(stored.LastResult),
            LastFailure = stored.LastFailure is null ? null : Failure.Parser.ParseFrom(stored.LastFailure),
            ConflictToken = stored.ConflictToken,
        };
    }

    internal sealed record Stored(
        byte[] Schedule, byte[] Info, DateTimeOffset ProcessedUntil, IReadOnlyList<BufferedStart> Buffer, byte[]? LastResult, byte[]? LastFailure, long ConflictToken);
}

[JsonSerializable(typeof(ScheduleState.Stored))]
internal sealed partial class ScheduleJson : JsonSerializerContext;
