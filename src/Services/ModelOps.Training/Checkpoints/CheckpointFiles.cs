using System.Globalization;

namespace ModelOps.Training;

/// <summary>A checkpoint that is complete, on its disk.</summary>
/// <param name="Path">Its file, which is gone once two newer ones are there and it is not the best.</param>
/// <param name="Steps">Steps done.</param>
/// <param name="BestSteps">Steps done at the best validation so far; null before the first.</param>
public sealed record SavedCheckpoint(string Path, int Steps, int? BestSteps);

/// <summary>The files of a folder of checkpoints, for who keeps them in another place as well.</summary>
public static class CheckpointFiles
{
    /// <summary>Newest ones that are kept; the one with the best validation loss is kept besides.</summary>
    private const int Kept = 2;

    private const string Prefix = "step-";
    private const string Extension = ".safetensors";

    public static string NameOf(int steps) => Prefix + steps.ToString(CultureInfo.InvariantCulture) + Extension;

    /// <returns>Null: it is no checkpoint's name.</returns>
    public static int? StepsOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Extension, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan()[Prefix.Length..^Extension.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var steps)
            ? steps
            : null;

    /// <summary>Those that are not kept: all but the newest two and the best.</summary>
    public static IEnumerable<int> Outdated(IEnumerable<int> steps, int? best) => steps.Order().SkipLast(Kept).Where(old => old != best);
}
