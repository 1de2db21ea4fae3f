namespace ModelOps.Cli.Output;

/// <summary>Numbers as people read them.</summary>
internal static class Human
{
    private static readonly string[] Units = ["B", "kB", "MB", "GB", "TB"];

    public static string Bytes(long bytes)
    {
        double value = bytes;
        var unit = 0;
        while (value >= 999.5 && unit < Units.Length - 1)
        {
            value /= 1000;
            unit++;
        }
        return unit == 0 || value >= 99.95 ? $"{value:0} {Units[unit]}" : $"{value:0.0} {Units[unit]}";
    }

    public static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 60 => $"{time.TotalSeconds:0.0} s",
        < 3600 => $"{(int)time.TotalMinutes} min {time.Seconds} s",
        _ => $"{(int)time.TotalHours} h {time.Minutes} min",
    };

    /// <summary>A guess at a time, in no finer numbers than a guess has.</summary>
    public static string About(double seconds) => seconds switch
    {
        < 90 => $"{Math.Max(5, Math.Round(seconds / 5) * 5):0} s",
        < 90 * 60 => $"{seconds / 60:0} min",
        _ => $"{seconds / 3600:#,0} h",
    };

    public static string Time(DateTimeOffset time) => $"{time.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z";

    /// <summary>Text that others wrote, without the control characters that could steer a terminal.</summary>
    public static string WithoutControls(string text) => string.Concat(text.Where(c => !char.IsControl(c) || c is '\n' or '\t'));

    public static string Counts(IReadOnlyDictionary<string, long> counts) =>
        string.Join(", ", counts.Select(count => $"{count.Value} {count.Key}"));
}
