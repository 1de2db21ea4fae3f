using System.Globalization;

namespace ModelOps.Workflows;

/// <summary>Where a job's checkpoints lie in the object store: workers put and fetch them, the server lists and removes them.</summary>
public static class CheckpointKeys
{
    /// <summary>All of all jobs begin so.</summary>
    public const string Root = "checkpoints/";

    private const string Extension = ".safetensors";

    /// <summary>All of a job's begin so.</summary>
    public static string Prefix(string job) => $"{Root}{job}/";

    public static string Of(string job, int steps) => $"{Prefix(job)}{steps.ToString(CultureInfo.InvariantCulture)}{Extension}";

    /// <summary>Points of the job's series up to its checkpoints that the server did not take when they were stored.</summary>
    public static string Untold(string job) => $"{Prefix(job)}untold.json";

    /// <param name="key">One that begins with <see cref="Root"/>.</param>
    public static string JobOf(string key) => key.Split('/')[1];

    /// <returns>Steps done; null: it is no checkpoint's key.</returns>
    public static int? StepsOf(string key) =>
        key.EndsWith(Extension, StringComparison.Ordinal)
        && int.TryParse(key.AsSpan()[(key.LastIndexOf('/') + 1)..^Extension.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var steps)
            ? steps
            : null;
}
