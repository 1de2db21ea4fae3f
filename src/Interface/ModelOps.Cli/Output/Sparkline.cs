namespace ModelOps.Cli.Output;

/// <summary>A curve in one line of text.</summary>
internal static class Sparkline
{
    private const string Blocks = "▁▂▃▄▅▆▇█";

    /// <summary>At most <paramref name="width"/> blocks, each the mean of its share of the values; the lowest is ▁, the highest █.</summary>
    public static string Of(IReadOnlyList<double> values, int width)
    {
        var finite = values.Where(double.IsFinite).ToList();
        if (finite.Count == 0)
        {
            return "";
        }
        var columns = Math.Min(width, finite.Count);
        var means = Enumerable.Range(0, columns)
            .Select(column => finite[(column * finite.Count / columns)..((column + 1) * finite.Count / columns)].Average())
            .ToList();
        var (low, high) = (means.Min(), means.Max());
        return string.Concat(means.Select(mean => Blocks[high > low ? (int)Math.Round((mean - low) / (high - low) * (Blocks.Length - 1)) : 0]));
    }
}
