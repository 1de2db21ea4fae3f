using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>
/// A line that a worker wrote to its standard error: a log line as the framework's JSON console writes it, or what native code and the
/// runtime's last words are, plain text. It is logged again here, with its level, logger, values and trace.
/// </summary>
public sealed class WorkerLine : IReadOnlyList<KeyValuePair<string, object?>>
{
    private const string PlainCategory = "ModelOps.Worker";
    private readonly List<KeyValuePair<string, object?>> values = [];

    private WorkerLine(WorkerRole role, int processId)
    {
        values.Add(new("role", role.Name()));
        values.Add(new("process_id", processId));
    }

    public string Category { get; private init; } = PlainCategory;

    public LogLevel Level { get; private init; } = LogLevel.Warning;

    public EventId EventId { get; private init; }

    /// <summary>With the exception where there is one.</summary>
    public required string Message { get; init; }

    /// <summary>The span of the activity in which it was written; default where there is none.</summary>
    public ActivityContext Trace { get; private init; }

    public int Count => values.Count;

    public KeyValuePair<string, object?> this[int index] => values[index];

    public static WorkerLine Read(WorkerRole role, int processId, string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement is { ValueKind: JsonValueKind.Object } json && Text(json, "Message") is { } message
                ? Read(role, processId, json, message)
                : new(role, processId) { Message = line };
        }
        catch (JsonException)
        {
            return new(role, processId) { Message = line };
        }
    }

    public void LogTo(ILoggerFactory loggers)
    {
        var logger = loggers.CreateLogger(Category);
        logger.Log(Level, EventId, this, exception: null, static (line, _) => line.ToString());
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"[{values[0].Value} {values[1].Value}] {Message}");

    public IEnumerator<KeyValuePair<string, object?>> GetEnumerator() => values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static WorkerLine Read(WorkerRole role, int processId, JsonElement json, string message)
    {
        var read = new WorkerLine(role, processId)
        {
            Category = Text(json, "Category") ?? PlainCategory,
            Level = Enum.TryParse<LogLevel>(Text(json, "LogLevel"), out var level) ? level : LogLevel.Information,
            EventId = json.TryGetProperty(nameof(EventId), out var id) && id.TryGetInt32(out var number) ? number : 0,
            Message = Text(json, "Exception") is { } exception ? $"{message}\n{exception}" : message,
            Trace = TraceOf(json),
        };
        if (json.TryGetProperty("State", out var state) && state.ValueKind == JsonValueKind.Object)
            read.values.AddRange(state.EnumerateObject().Where(value => value.Name is not ("Message" or "{OriginalFormat}")).Select(Value));
        return read;
    }

    private static KeyValuePair<string, object?> Value(JsonProperty value) => new(value.Name, value.Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => value.Value.TryGetInt64(out var whole) ? (object)whole : value.Value.GetDouble(),
        _ => value.Value.ToString(),
    });

    // The scope that LoggerFactoryOptions.ActivityTrackingOptions opens.
    private static ActivityContext TraceOf(JsonElement json)
    {
        if (!json.TryGetProperty("Scopes", out var scopes) || scopes.ValueKind != JsonValueKind.Array) return default;
        foreach (var scope in scopes.EnumerateArray())
            if (scope.ValueKind == JsonValueKind.Object && Text(scope, "TraceId") is { } trace && Text(scope, "SpanId") is { } span
                && ActivityContext.TryParse($"00-{trace}-{span}-00", traceState: null, out var context))
                return context;
        return default;
    }

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
