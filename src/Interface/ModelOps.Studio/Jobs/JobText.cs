using System.Text.Json;
using ModelOps.Client;
using ModelOps.Studio.Shell;

namespace ModelOps.Studio.Jobs;

/// <summary>Jobs in people's words.</summary>
internal static class JobText
{
    public static IReadOnlyList<string> Kinds { get; } = ["ingestion", "sft", "pretraining", "training_plan", "quantization", "evaluation"];

    public static string NameOf(JobState state) => state.ToString().ToLowerInvariant();

    /// <summary>What it makes; the id where it does not say.</summary>
    public static string TitleOf(Job job) =>
        job.Artifacts.Count > 0 ? string.Join(", ", job.Artifacts)
        : Said(job, "name") ?? Said(job, "dataset") ?? Said(job, "artifact") ?? job.Id;

    /// <summary>One training among others.</summary>
    public static string RunOf(Job job) => job.Artifacts.Count > 0 ? job.Artifacts[0] : $"{TitleOf(job)} {JobEnd(job.Id)}";

    /// <summary>Of a training that has succeeded.</summary>
    public static TrainingResult? Trained(Job job) =>
        IsTraining(job) && job is { State: JobState.Succeeded, Result: { } result } ? result.Deserialize(WireJson.Default.TrainingResult) : null;

    public static bool IsTraining(Job job) => job.Kind is "sft" or "pretraining";

    public static string Took(Job job, DateTimeOffset now) =>
        job.StartedAt is { } start ? Human.Duration((job.FinishedAt ?? now) - start) : "";

    /// <summary>The input by its keys, as the job was asked for.</summary>
    public static IEnumerable<(string Name, string Value)> Input(Job job) => job.Input.EnumerateObject()
        .Where(property => property.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
        .Select(property => (property.Name, Text(property.Value)));

    /// <returns>Null: the input does not say it.</returns>
    public static string? Said(Job job, string name) =>
        job.Input.ValueKind == JsonValueKind.Object && job.Input.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string JobEnd(string id) => id[Math.Max(0, id.Length - 6)..];

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => string.Join(", ", value.EnumerateObject().Select(property => $"{property.Name} {Text(property.Value)}")),
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(Text)),
        _ => value.ToString(),
    };
}
