using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <summary>How long training would take, and how much of it a quickstart does.</summary>
/// <param name="AllSteps">Steps of the recipe.</param>
/// <param name="Steps">Of them, those that are done.</param>
/// <param name="AllSeconds">A guess at the time of all of them: see <see cref="Of"/>.</param>
/// <param name="Seconds">A guess at the time that it will take.</param>
internal sealed record QuickstartPlan(long AllSteps, long Steps, double AllSeconds, double Seconds)
{
    // Training is bounded to what is likely done in this time, so that the whole stays below five minutes where the model allows it.
    private const double LongestSeconds = 180;

    // Fewer would teach nothing.
    private const long FewestSteps = 10;

    // What the trainer did per core of the machine that benchmarks/README.md tells of, rounded: there 32 to 52 GFLOP/s.
    private const double FlopsPerCore = 40e9;

    // Forward, and backward to the activations; the frozen weights get no gradient.
    private const double FlopsPerWeightAndToken = 4;

    private const int BytesPerWeight = 4;

    public bool IsBounded => Steps < AllSteps;

    /// <param name="cores">Of the machine that trains; the server leaves one to the rest.</param>
    /// <param name="unbounded">Whether all is to be done however long it takes.</param>
    public static QuickstartPlan Of(TrainingPlan plan, int cores, bool unbounded)
    {
        var weights = plan.Memory.Where(part => part.Part == "weights").Sum(part => part.Bytes) / BytesPerWeight;
        var steps = Number(plan, "steps");
        var tokens = (double)plan.Tokens / Math.Max(plan.PackedRows, 1) * Number(plan, "batch_size") * Number(plan, "accumulation") * steps;
        var seconds = FlopsPerWeightAndToken * weights * tokens / (FlopsPerCore * Math.Max(cores - 1, 1));
        var done = unbounded || seconds <= LongestSeconds ? steps : Math.Clamp((long)(steps * LongestSeconds / seconds), Math.Min(FewestSteps, steps), steps);
        return new(steps, done, seconds, seconds * done / Math.Max(steps, 1));
    }

    private static long Number(TrainingPlan plan, string key) =>
        plan.Recipe.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : 1;
}
