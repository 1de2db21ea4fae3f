using System.Text.Json;

namespace ModelOps.Cli.Workers;

/// <summary>Lines on standard error: time, level, who, what.</summary>
internal sealed class WorkerLog(CliHost host)
{
    private readonly Lock gate = new();

    public void Write(string level, string who, string text)
    {
        lock (gate)
        {
            host.Error.WriteLine($"{host.Time.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} {level,-8} {who}: {text}");
        }
    }

    /// <summary>A line of a worker's standard error: one of its log, as JSON, or what native code wrote.</summary>
    public void Relay(string who, string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement is { ValueKind: JsonValueKind.Object } json && Text(json, "Message") is { } message)
            {
                var exception = Text(json, "Exception") is { } thrown ? $"\n{thrown}" : "";
                Write(LevelOf(Text(json, "LogLevel")), who, $"{message}{exception}");
                return;
            }
        }
        catch (JsonException)
        {
            // Not of its log.
        }
        Write("warning", who, line);
    }

    private static string LevelOf(string? name) => name is null or "Information" ? "info" : name.ToLowerInvariant();

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
